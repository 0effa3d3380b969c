import type { Health } from "@leasehold/core";
import { listenTo } from "./client-events.ts";
import { isCluster, type ClusterClient, type RedisClient } from "./client.ts";

/**
 * Looks, each time a connection to a master stands, whether that master would go on granting after
 * its replicas have left it. One that is cut off from its replicas and from Sentinel is replaced,
 * and does not know it. Its own clients renew there for as long as the partition lasts, beside the
 * holders of its successor. With `min-replicas-to-write` it stops to write instead, so that their
 * leases end with their ttl.
 *
 * A master without replicas has no successor, and a Cluster's masters stop by themselves
 * (`cluster-node-timeout`). A user who may not ask (`INFO`) is told nothing.
 */
export class SplitBrainWatch {
  readonly #client: RedisClient;
  readonly #health: Health;
  readonly #stopListening: () => void;

  /** Undefined for a Cluster. */
  static of(client: RedisClient | ClusterClient, health: Health): SplitBrainWatch | undefined {
    return isCluster(client) ? undefined : new SplitBrainWatch(client, health);
  }

  private constructor(client: RedisClient, health: Health) {
    this.#client = client;
    this.#health = health;
    this.#stopListening = listenTo(client, { ready: this.#look });
    // Behind the caller's back: whoever makes the backend begins to listen after that.
    if (client.status === "ready") this.#look();
  }

  close(): void {
    this.#stopListening();
  }

  readonly #look = (): void => {
    // It is an operator's concern, and nobody waits for it: a failure says nothing.
    this.#client.info("replication").then(this.#judge, () => {});
  };

  readonly #judge = (reply: unknown): void => {
    const standing = readReplication(reply);
    if (standing === "guarded") this.#health.restored("may-split-brain", this);
    if (standing === "may-split-brain")
      this.#health.degraded(
        {
          reason: "may-split-brain",
          message:
            "This Redis has replicas, and goes on granting when they have left it: after a failover two could hold one " +
            "name for as long as it is partitioned. Set min-replicas-to-write 1 and min-replicas-max-lag 10 on all servers.",
        },
        this,
      );
  };
}

/**
 * What `INFO replication` says. Nothing of a replica, and nothing of a master that has no replicas
 * now: a new master that its replicas have not found yet is no proof of a mended setting.
 */
export function readReplication(reply: unknown): "guarded" | "may-split-brain" | undefined {
  if (typeof reply !== "string" || !/^role:master\r?$/m.test(reply)) return undefined;
  // Redis and Valkey show this line only if both settings are above 0.
  if (/^min_slaves_good_slaves:/m.test(reply)) return "guarded";
  return /^connected_slaves:[1-9]/m.test(reply) ? "may-split-brain" : undefined;
}
