import type { Backend } from "@leasehold/core";
import type { Place } from "../shared/place.ts";
import type { Account } from "./account.ts";

/** One process's way to the store. */
export interface Connection {
  readonly backend: Backend;
  readonly account: Account;
}

export async function connect(place: Place): Promise<Connection> {
  switch (place.kind) {
    case "redis":
      return (await import("./redis-place.ts")).connectRedis(place);
    case "etcd":
      return (await import("./etcd-place.ts")).connectEtcd(place);
  }
}
