import type { BackendName } from "./options.ts";
import type { OpenPlace } from "./place.ts";

/** Opens a place on a real store, for this example; its client is loaded only then. */
export async function openPlace(
  backend: Exclude<BackendName, "memory">,
  example: string,
  url?: string,
): Promise<OpenPlace> {
  switch (backend) {
    case "redis":
      return (await import("./redis-place.ts")).openRedis(example, url);
    case "etcd":
      return (await import("./etcd-place.ts")).openEtcd(example, url);
  }
}
