import { randomBytes } from "node:crypto";
import type { Backend } from "@leasehold/core";
import type { Account } from "./account.ts";

/** Where the processes of one run meet. */
export interface Place {
  readonly kind: "redis" | "etcd";
  readonly url: string;
  /** Unique per run: the namespace of the lock, and part of every key. */
  readonly run: string;
}

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

/** Of its own for each run, so that two demos on one server do not meet, and what is left can be removed. */
export function newRun(): string {
  return `leasehold-demo-${randomBytes(4).toString("hex")}`;
}
