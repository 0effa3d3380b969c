import { again } from "../base/again.ts";
import { Turns } from "../base/turns.ts";
import type { Context } from "../context.ts";
import { isOutage, LeaseholdError, mayHaveHappened } from "../errors.ts";
import type { Claim } from "./claim.ts";

/** Rule R7: the mark outlives any copy of an acquire that a network may still deliver. */
const shortestMarkMs = 60_000;

/**
 * How long the mark of a departed claim must stay, in milliseconds: 0 when every acquire request
 * was answered, and none was resent.
 */
function departedForMs(claim: Claim): number {
  return claim.unclean || claim.inFlight ? Math.max(claim.ttlMs, shortestMarkMs) : 0;
}

/** A release is one attempt, and prompt: the store would free the claim at its expiry anyway. */
export const releaseTimeoutMs = 1_000;

/** How many releases may be on their way at once. Each has its second from when it is sent. */
const releasesAtOnce = 1_000;

/**
 * Takes claims out of the store, and goes on trying for those that nobody here waits for any more:
 * aborted, timed out, or released without an answer. That runs behind the caller's back, so that a
 * wait settles at once. It gives up after one ttl: by then the store has dropped the claim by
 * itself, since nobody renews it.
 */
export class Departures {
  readonly #context: Context;
  readonly #stop = new AbortController();
  readonly #turns = new Turns(releasesAtOnce);

  constructor(context: Context) {
    this.#context = context;
  }

  /** One attempt to remove the claim. True when the store had it. Rejects as the store does. */
  release(claim: Claim): Promise<boolean> {
    const { resource, owner } = claim;
    return this.#turns.run(() =>
      this.#context.backend.leases.release({
        ...{ resource, owner },
        timeoutMs: releaseTimeoutMs,
        departedForMs: departedForMs(claim),
      }),
    );
  }

  /** Removes the claim in the background, and never fails. A close waits for it. */
  add(claim: Claim): void {
    if (this.#stop.signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#context.attend(promise);
    this.#context.scope(() => void this.#depart(claim, resolve).then(resolve));
  }

  /** No further attempt is made, and what was not sent yet fails. */
  stop(): void {
    this.#stop.abort();
    const message = "The coordinator was closed before this release could be sent.";
    this.#turns.drop(new LeaseholdError("BACKEND_UNAVAILABLE", message));
  }

  /**
   * Asking again is safe: a release names an owner that is never used again (rule R1).
   * `seemsAbsent` is called when nothing says that the store has the claim: none of its requests
   * was answered, or could be written and lost, and this release could not be written either. It
   * goes on, for the acquire may be about to connect; but a close has no reason to wait.
   */
  async #depart(claim: Claim, seemsAbsent: () => void): Promise<void> {
    const { clock, random } = this.#context;
    const attempt = async (): Promise<void> => {
      try {
        await this.release(claim);
      } catch (error) {
        if (!claim.mayHaveJoined && !mayHaveHappened(error)) seemsAbsent();
        throw error;
      }
    };
    await again(attempt, {
      ...{ clock, random, signal: this.#stop.signal },
      firstMs: 25,
      longestMs: 1_000,
      withinMs: claim.ttlMs,
      // Meanwhile it may turn out that nothing was written. And a store that refuses, or a client
      // that is closed for good, does so again.
      isPassing: (error) => isOutage(error) && !error.permanent && (claim.mayHaveJoined || claim.inFlight),
    }).catch(() => undefined);
  }
}
