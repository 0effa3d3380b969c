import { elapsedMs, type Clock, type Health, type Instant, type Timer } from "@leasehold/core";
import { isCluster, type ClusterClient, type RedisClient } from "./client.ts";

/** The nodes are not asked for the Cluster's slots more often than this. */
const SLOTS_PACE_MS = 1_000;
/** A call that had less time than this says nothing of a node. */
const IMPATIENT_MS = 500;
/** No call was late for so long: the nodes serve again. */
const CALM_MS = 5_000;

export interface HungNodesOptions {
  readonly client: RedisClient | ClusterClient;
  readonly clock: Clock;
  readonly health: Health;
}

/**
 * What a Cluster client does not see by itself: a master that hangs closes nothing. The client is
 * made to ask the other nodes who serves the slots. So it finds a replica that was promoted, drops
 * the node that hangs, and no connection of the application's is reset. Of a single server this
 * knows nothing.
 */
export class HungNodes {
  readonly #options: HungNodesOptions;
  #askedAt: Instant | undefined;
  #calm: Timer | undefined;

  constructor(options: HungNodesOptions) {
    this.#options = options;
  }

  /** A call was not answered within `timeoutMs`. */
  overdue(timeoutMs: number, message: string): void {
    const { client, clock, health } = this.#options;
    if (!isCluster(client) || timeoutMs < IMPATIENT_MS) return;
    // The other nodes go on to answer, so their answers cannot tell when this is over.
    health.degraded({ reason: "unreachable", message }, this);
    this.#calm?.cancel();
    this.#calm = clock.schedule(CALM_MS, () => health.restored("unreachable", this));
    if (client.refreshSlotsCache === undefined || client.status !== "ready") return;
    if (this.#askedAt !== undefined && elapsedMs(clock, this.#askedAt) < SLOTS_PACE_MS) return;
    this.#askedAt = clock.now();
    client.refreshSlotsCache(() => {});
  }

  close(): void {
    this.#calm?.cancel();
  }
}
