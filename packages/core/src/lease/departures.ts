import { again } from "../base/again.ts";
import type { Context } from "../context.ts";
import type { Claim } from "./claim.ts";

/** Rule R7: the mark outlives any copy of an acquire that a network may still deliver. */
const shortestMarkMs = 60_000;

/**
 * How long the mark of a departed claim must stay, in milliseconds: 0 when every acquire request
 * was answered, and none was resent.
 */
export function departedForMs(claim: Claim): number {
  return claim.unclean || claim.inFlight ? Math.max(claim.ttlMs, shortestMarkMs) : 0;
}

/** A release is one attempt, and prompt: the store would free the claim at its expiry anyway. */
export const releaseTimeoutMs = 1_000;

/**
 * Takes claims out of the store that nobody here waits for any more: aborted, timed out, or
 * released without an answer. Runs behind the caller's back, so that a wait settles at once. Gives
 * up after one ttl: by then the store has dropped the claim by itself, since nobody renews it.
 */
export class Departures {
  readonly #context: Context;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** Removes the claim in the background. Never rejects. */
  add(claim: Claim): void {
    const departure = this.#depart(claim).finally(() => this.#running.delete(departure));
    this.#running.add(departure);
  }

  /** Resolves when every departure has ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** No further attempt is made. */
  stop(): void {
    this.#stop.abort();
  }

  /** Asking again is safe: a release names an owner that is never used again (rule R1). */
  async #depart(claim: Claim): Promise<void> {
    const { backend, clock, random } = this.#context;
    const { resource, owner, ttlMs } = claim;
    const release = (): Promise<boolean> =>
      backend.leases.release({
        ...{ resource, owner },
        timeoutMs: releaseTimeoutMs,
        departedForMs: departedForMs(claim),
      });
    const signal = this.#stop.signal;
    if (signal.aborted) return;
    await again(release, {
      ...{ clock, random, signal },
      firstMs: 25,
      longestMs: 1_000,
      withinMs: ttlMs,
    }).catch(() => undefined);
  }
}
