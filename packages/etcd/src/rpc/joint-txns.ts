import type { IRequestOp, ITxnRequest, ITxnResponse } from "etcd3";
import type { Calls } from "./calls.ts";
import { Deadline } from "./deadline.ts";
import { RpcFailure } from "./failure.ts";

/** How many requests are on their way before others are put together. */
const alone = 8;
/** As many operations as etcd takes in one transaction by default (`--max-txn-ops`). */
const together = 128;

interface Waiting {
  readonly request: ITxnRequest;
  readonly deadline: Deadline;
  readonly settle: (succeeded: boolean) => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Transactions of which nothing more is asked than whether their compares held. When many are
 * wanted at once, they leave as the parts of one: each is judged by its own compares, and none
 * depends on another. A close that releases five thousand claims is forty requests.
 *
 * Nobody waits so that others may join: a few leave at once, and those that come while they are
 * on their way go together.
 */
export class JointTxns {
  readonly #calls: Calls;
  #waiting: Waiting[] = [];
  #running = 0;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Whether the compares held. Rejects with an `RpcFailure` within `timeoutMs`. */
  run(request: ITxnRequest, timeoutMs: number): Promise<boolean> {
    const deadline = new Deadline(this.#calls.clock, timeoutMs);
    return new Promise((settle, fail) => {
      this.#waiting.push({ request, deadline, settle, fail });
      if (this.#running < alone) void this.#send();
    });
  }

  async #send(): Promise<void> {
    this.#running += 1;
    for (let some = this.#take(); some.length > 0; some = this.#take()) {
      try {
        const succeeded = await this.#ask(some);
        some.forEach(({ settle }, index) => settle(succeeded[index] === true));
      } catch (error) {
        for (const { fail } of some) fail(error);
      }
    }
    this.#running -= 1;
  }

  /** Those whose time is over were not sent. */
  #take(): Waiting[] {
    const late = new RpcFailure("busy", "no turn in time, behind other requests of this process");
    const inTime = this.#waiting.filter(({ deadline, fail }) => deadline.leftMs > 0 || fail(late));
    this.#waiting = inTime.slice(together);
    return inTime.slice(0, together);
  }

  async #ask(some: readonly Waiting[]): Promise<boolean[]> {
    const timeoutMs = Math.min(...some.map(({ deadline }) => deadline.leftMs));
    const [first, ...others] = some.map(({ request }) => request);
    const single = others.length === 0 && first !== undefined;
    const parts = some.map(({ request }): IRequestOp => ({ request_txn: request }));
    const request: ITxnRequest = single ? first : { success: parts };
    const answer: ITxnResponse = await this.#calls.unary(
      ({ kv }, options) => kv.txn(request, options),
      timeoutMs,
      { turn: "ends" },
    );
    return single ? [answer.succeeded] : answer.responses.map((part) => part.response_txn.succeeded);
  }
}

const joint = new WeakMap<Calls, JointTxns>();

/** Those of one backend. */
export function jointTxns(calls: Calls): JointTxns {
  let known = joint.get(calls);
  if (known === undefined) {
    known = new JointTxns(calls);
    joint.set(calls, known);
  }
  return known;
}
