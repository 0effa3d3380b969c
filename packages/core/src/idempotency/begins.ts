import { again } from "../base/again.ts";
import { elapsedMs } from "../base/clock.ts";
import { Turns } from "../base/turns.ts";
import type { Context } from "../context.ts";
import type { BeginReply, BeginRequest } from "../contract/idempotency-store.ts";
import { isOutage, LeaseholdError, mayHaveHappened } from "../errors.ts";

/** How long the store has to answer whether a call may execute, over all attempts. */
const storeTimeoutMs = 5_000;
/** How long one attempt has: a reply that was lost is asked for again. */
export const attemptTimeoutMs = 2_000;
/** How many may be on their way at once. Each has its time from when it is sent. */
const atOnce = 256;

interface Late {
  readonly request: BeginRequest;
  readonly settle: (reply: BeginReply) => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Asks the store whether calls of this process may execute.
 *
 * Calls that ask the same while an answer is awaited ask together, once it has come: the first of
 * them for all. That answer was made after every one of them was called, so it is what each would
 * have got. If the first may execute, the others find it executing. So ten thousand duplicates at
 * once are two questions.
 *
 * Different questions are sent by and by. If the store is silent for as long as one of them lasts,
 * those that wait for their turn fail too: else the last of ten thousand would learn of an outage
 * minutes late.
 */
export class Begins {
  readonly #context: Context;
  readonly #withdraw: (request: BeginRequest) => void;
  readonly #turns = new Turns(atOnce);
  /** By question, while an answer is awaited: who came meanwhile. */
  readonly #late = new Map<string, Late[]>();

  /** `withdraw`: takes back what may have been begun for a call that rejects. */
  constructor(context: Context, withdraw: (request: BeginRequest) => void) {
    this.#context = context;
    this.#withdraw = withdraw;
  }

  ask(request: BeginRequest): Promise<BeginReply> {
    const { record, fingerprint, takeOver, watched } = request;
    const id = JSON.stringify([record, fingerprint, takeOver, watched]);
    const late = this.#late.get(id);
    if (late === undefined) return this.#askFor(id, request);
    return new Promise((settle, fail) => late.push({ request, settle, fail }));
  }

  async #askFor(id: string, request: BeginRequest): Promise<BeginReply> {
    this.#late.set(id, []);
    try {
      const reply = await this.#turns.run(() => this.#begin(request));
      this.#askForLate(id);
      return reply;
    } catch (error) {
      const late = this.#late.get(id) ?? [];
      this.#late.delete(id);
      for (const { fail } of late) fail(unasked(error));
      throw error;
    }
  }

  #askForLate(id: string): void {
    const [first, ...others] = this.#late.get(id) ?? [];
    this.#late.delete(id);
    if (first === undefined) return;
    const { request } = first;
    this.#askFor(id, request).then(
      (reply) => {
        first.settle(reply);
        const { kind } = reply;
        const theirs: BeginReply =
          kind === "begun" ? { kind: "in-progress", remainingMs: request.leaseMs } : reply;
        for (const { settle } of others) settle(theirs);
      },
      (error: unknown) => {
        first.fail(error);
        for (const { fail } of others) fail(unasked(error));
      },
    );
  }

  /**
   * Asks again as the same owner: the store answers the same, and so tells what a lost reply said.
   */
  async #begin(request: BeginRequest): Promise<BeginReply> {
    const { clock, random, backend, closing: signal } = this.#context;
    const startedAt = clock.now();
    const begin = (leftMs: number): Promise<BeginReply> =>
      backend.idempotency.begin({ ...request, timeoutMs: Math.min(request.timeoutMs, leftMs) });
    try {
      return await again(begin, {
        ...{ clock, random, signal },
        firstMs: 25,
        longestMs: storeTimeoutMs,
        withinMs: storeTimeoutMs,
        keepAlive: true,
        isPassing: mayHaveHappened,
      });
    } catch (error) {
      if (mayHaveHappened(error)) this.#withdraw(request);
      if (isOutage(error) && elapsedMs(clock, startedAt) >= attemptTimeoutMs)
        this.#turns.drop(unavailable("The store answers nobody at present, so this call was not sent."));
      throw error;
    }
  }
}

/** What another call's failure means to one that has not asked yet. */
function unasked(error: unknown): unknown {
  if (!mayHaveHappened(error)) return error;
  return unavailable(
    "The store did not answer another call under this idempotency key, so this one was not sent.",
  );
}

function unavailable(message: string): LeaseholdError {
  return new LeaseholdError("BACKEND_UNAVAILABLE", message);
}
