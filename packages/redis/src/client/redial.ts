import { Backoff, elapsedMs, type Clock, type Instant, type Random } from "@leasehold/core";
import type { ScriptClient } from "./client.ts";

/**
 * By these words a server says that it is not the one to write to, or not now: it was demoted, it
 * has lost its master, it loads its data, or it is cut off from its replicas. It keeps our
 * connection open all the same.
 */
const notTheOne = /^(READONLY|MASTERDOWN|LOADING|NOREPLICAS)\b/;

/** The pause between two of them: a lease waits for the first few, and nobody for the later. */
const pace = { firstMs: 100, longestMs: 1_000 };

/** After so long without one, the next is a first one again. */
const CALM_MS = 10_000;

/**
 * Connects anew when the server says that it is not the one. The host name is then resolved again,
 * and Sentinel asked again: after a failover that leads to the new primary. What is in flight on
 * the old connection may still be answered, since the connection is ended and not reset.
 */
export class Redial {
  readonly #client: ScriptClient;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  #last: { readonly at: Instant; readonly pauseMs: number } | undefined;

  constructor(client: ScriptClient, clock: Clock, random: Random) {
    this.#client = client;
    this.#clock = clock;
    this.#backoff = new Backoff(pace, random);
  }

  /** A call was answered by this error. */
  answered(error: unknown): void {
    if (!(error instanceof Error && notTheOne.test(error.message)) || this.#client.status !== "ready") return;
    if (this.#last !== undefined) {
      const sinceMs = elapsedMs(this.#clock, this.#last.at);
      if (sinceMs < this.#last.pauseMs) return;
      if (sinceMs > CALM_MS) this.#backoff.reset();
    }
    this.#last = { at: this.#clock.now(), pauseMs: this.#backoff.nextMs() };
    this.#client.disconnect(true);
  }
}
