import type { LeaseStore } from "../contract/backend.ts";
import type { Claim } from "./claim.ts";
import { elapsedMs, sleep, type Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";

/** Rule R7: the mark outlives any copy of an acquire that a network or a kernel may still deliver. */
const shortestMarkMs = 60_000;

/** How long the mark of a departed claim must stay: 0 when every acquire request was answered, and none was resent. */
export function departedForMs(claim: Claim): number {
  return claim.unclean || claim.inFlight ? Math.max(claim.ttlMs, shortestMarkMs) : 0;
}

/** A release is one attempt, and prompt: the store would free the claim by itself at its expiry. */
export const releaseTimeoutMs = 1_000;

/**
 * Takes claims out of the store that nobody here waits for any more: aborted, timed out, or released without an answer.
 * Runs behind the caller's back, so that a wait settles at once, and gives up after one ttl: by then the store has dropped
 * the claim by itself, since nobody renews it.
 */
export class Departures {
  readonly #store: LeaseStore;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();

  constructor(store: LeaseStore, clock: Clock, random: Random) {
    this.#store = store;
    this.#clock = clock;
    this.#random = random;
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

  async #depart(claim: Claim): Promise<void> {
    const startedAt = this.#clock.now();
    const { resource, owner, announce } = claim;
    const request = { resource, owner, announce, timeoutMs: releaseTimeoutMs };
    for (let delayMs = 25; !this.#stop.signal.aborted; delayMs = Math.min(delayMs * 2, 1_000)) {
      try {
        await this.#store.release({ ...request, departedForMs: departedForMs(claim) });
        return;
      } catch {
        // Unknown or unreachable: asking again is safe, since a release names an owner that is never used again.
        if (elapsedMs(this.#clock, startedAt) > claim.ttlMs) return;
      }
      await sleep(this.#clock, delayMs * (0.5 + this.#random.fraction()), this.#stop.signal);
    }
  }
}
