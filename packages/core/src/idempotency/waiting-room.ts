import { Backoff } from "../base/again.ts";
import { ChangeFeed } from "../base/change-feed.ts";
import type { Timer } from "../base/clock.ts";
import type { Context } from "../context.ts";
import type { BeginReply, BeginRequest } from "../contract/idempotency-store.ts";

/** A waiter asks this long after the store should have seen a lease end. */
const afterLeaseMs = 10;
/** A waiter that hears nothing, while no lease seems to end, asks again this often. */
const longestSilenceMs = 10_000;

interface Waiter {
  readonly request: BeginRequest;
  readonly settle: (reply: BeginReply) => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Where callers of this process wait for one record that is in progress; all have the same payload.
 * They share one watch. When something may have changed, the first asks one question for all. A
 * result is for everybody. A caller that may begin leaves to execute, while the others wait on. So
 * a completion costs as much with a hundred waiters as with one.
 */
export class WaitingRoom {
  readonly fingerprint: string;
  readonly #context: Context;
  readonly #onEmpty: () => void;
  readonly #waiters = new Set<Waiter>();
  readonly #over = new AbortController();
  readonly #feed: ChangeFeed = new ChangeFeed(this.#over.signal);
  readonly #backoff: Backoff;
  #timer: Timer | null = null;

  constructor(context: Context, { record, fingerprint }: BeginRequest, onEmpty: () => void) {
    this.fingerprint = fingerprint;
    this.#context = context;
    this.#backoff = new Backoff({ firstMs: 100, longestMs: 2_000 }, context.random);
    this.#onEmpty = onEmpty;
    // Before the first question, so nothing that follows the answer goes unseen; and here, so that
    // a closed backend rejects the call that opens the room.
    const stopWatching = context.backend.idempotency.watch(record, this.#feed.notify);
    // It serves all who wait, so it runs in the context of none.
    context.scope(() => void this.#serve(stopWatching));
  }

  /**
   * Resolves to an answer other than `in-progress`. Rejects with the store's failure if that is
   * permanent. Stays pending when the caller has left (`left` aborts). An execution that is begun
   * for a caller who has left is handed to `unwanted`.
   */
  wait(
    request: BeginRequest,
    left: AbortSignal,
    unwanted: (request: BeginRequest) => void,
  ): Promise<BeginReply> {
    const { promise, resolve, reject } = Promise.withResolvers<BeginReply>();
    const waiter: Waiter = {
      request,
      settle: (reply) => {
        this.#leave(waiter);
        if (left.aborted && reply.kind === "begun") unwanted(request);
        resolve(reply);
      },
      fail: (error) => {
        this.#leave(waiter);
        reject(error);
      },
    };
    this.#waiters.add(waiter);
    left.addEventListener("abort", () => this.#leave(waiter), { once: true });
    return promise;
  }

  /**
   * Looks again. A caller asked for itself before it came in: no push may tell what happened since.
   */
  lookAgain(): void {
    this.#feed.notify();
  }

  #leave(waiter: Waiter): void {
    if (!this.#waiters.delete(waiter) || this.#waiters.size > 0) return;
    this.#timer?.cancel();
    this.#over.abort();
    this.#onEmpty();
  }

  async #serve(stopWatching: () => void): Promise<void> {
    for await (const _ of this.#feed) {
      this.#timer?.cancel();
      await this.#ask();
    }
    stopWatching();
  }

  async #ask(): Promise<void> {
    const [first] = this.#waiters;
    if (first === undefined) return;
    let reply: BeginReply;
    try {
      reply = await this.#context.backend.idempotency.begin(first.request);
      this.#backoff.reset();
    } catch (error) {
      if ((error as { permanent?: unknown }).permanent === true) return first.fail(error);
      return this.#askIn(this.#backoff.nextMs());
    }
    if (reply.kind === "in-progress")
      return this.#askIn(Math.min(reply.remainingMs + afterLeaseMs, longestSilenceMs));
    first.settle(reply);
    for (const waiter of [...this.#waiters])
      if (isAnsweredBy(waiter.request, first.request, reply)) waiter.settle(reply);
    // After `begun`: the caller that executes announces its end. Otherwise: a caller that may take
    // over, where the first may not, asks for itself.
    if (reply.kind === "begun") this.#askIn(first.request.leaseMs);
    else this.#feed.notify();
  }

  #askIn(delayMs: number): void {
    if (this.#waiters.size === 0) return;
    this.#timer?.cancel();
    this.#timer = this.#context.clock.schedule(delayMs, this.#feed.notify, { keepAlive: true });
  }
}

/**
 * Whether the answer to `asked` is also what the store would answer to `other`. Never so for
 * `begun`, which is for one caller alone.
 */
function isAnsweredBy(other: BeginRequest, asked: BeginRequest, { kind }: BeginReply): boolean {
  return kind !== "begun" && (kind !== "expired" || other.takeOver === asked.takeOver);
}
