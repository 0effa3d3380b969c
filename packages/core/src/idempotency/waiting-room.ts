import { Backoff } from "../base/again.ts";
import { ChangeFeed } from "../base/change-feed.ts";
import type { Timer } from "../base/clock.ts";
import type { Context } from "../context.ts";
import type { BeginReply, BeginRequest } from "../contract/idempotency-store.ts";

/** A lease that ends is looked for this long after the store should have seen it. */
const afterLeaseMs = 10;
/** Waiters ask again this often although nothing was pushed, and no lease seems to end. */
const longestSilenceMs = 10_000;

interface Waiter {
  readonly request: BeginRequest;
  readonly settle: (reply: BeginReply) => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Where the callers of this process wait who found one record in progress, all with the same payload. One watch for all of
 * them, and one question when something may have changed, asked by the first for everybody: a result is everybody's, and
 * whoever may begin leaves to execute while the others wait on. So a hundred waiters cost a completion no more than one does.
 */
export class WaitingRoom {
  readonly fingerprint: string;
  readonly #context: Context;
  readonly #record: string;
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
    this.#record = record;
    this.#onEmpty = onEmpty;
    void this.#serve();
  }

  /**
   * Waits for an answer other than `in-progress`; for ever, if the caller has left (`left` aborts). Rejects with the store's
   * failure if that is permanent. An execution that is begun for a caller who has left is handed to `unwanted`.
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

  /** Something may have happened that no push will tell: a caller asked for itself before it came in. */
  lookAgain(): void {
    this.#feed.notify();
  }

  #leave(waiter: Waiter): void {
    if (!this.#waiters.delete(waiter) || this.#waiters.size > 0) return;
    this.#timer?.cancel();
    this.#over.abort();
    this.#onEmpty();
  }

  /** The watch begins before the first question, so nothing that follows the answer goes unseen. */
  async #serve(): Promise<void> {
    const { idempotency } = this.#context.backend;
    const stopWatching = idempotency.watch(this.#record, this.#feed.notify);
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
    // Who executes now announces its end. Whoever may take over, where the first would not, asks for itself.
    if (reply.kind === "begun") this.#askIn(first.request.leaseMs);
    else this.#feed.notify();
  }

  #askIn(delayMs: number): void {
    if (this.#waiters.size === 0) return;
    this.#timer?.cancel();
    this.#timer = this.#context.clock.schedule(delayMs, this.#feed.notify, { keepAlive: true });
  }
}

/** Whether what the store said to `asked` is also what it would say to `other`. Never of `begun`: that is for one alone. */
function isAnsweredBy(other: BeginRequest, asked: BeginRequest, { kind }: BeginReply): boolean {
  return kind !== "begun" && (kind !== "expired" || other.takeOver === asked.takeOver);
}
