import type { IRangeRequest, IRangeResponse } from "etcd3";
import type { OwnClaim } from "../line/own-claim.ts";
import { hasLease } from "../format/answers.ts";
import { readLine } from "../line/read-line.ts";
import type { Deadline } from "../rpc/deadline.ts";
import type { Parts } from "./parts.ts";

/** How many reads one transaction has: as many as etcd takes by default (`--max-txn-ops`). */
const readsPerTransaction = 128;

interface Question {
  readonly claim: OwnClaim;
  readonly answer: PromiseWithResolvers<ReadonlySet<bigint>>;
}

/**
 * Asks which of our waiting claims stand in front by now: a push may have been lost. One read for
 * all who wait in a line, and one request for many lines: with a request for each, two thousand
 * names kept the event loop busy for seconds.
 */
export class FrontReads {
  readonly #parts: Parts;
  readonly #deadline: Deadline;
  readonly #fronts = new Map<string, Promise<ReadonlySet<bigint>>>();
  #heads: Question[] = [];

  constructor(parts: Parts, deadline: Deadline) {
    this.#parts = parts;
    this.#deadline = deadline;
  }

  async isFront(claim: OwnClaim): Promise<boolean> {
    const line = `${claim.capacity}/${claim.resource}`;
    let front = this.#fronts.get(line);
    if (front === undefined) {
      front = claim.capacity === 1 ? this.#head(claim) : this.#inFront(claim.resource);
      this.#fronts.set(line, front);
    }
    return (await front).has(claim.ticket);
  }

  /** Capacity 1: the oldest claim is the only one granted. */
  #head(claim: OwnClaim): Promise<ReadonlySet<bigint>> {
    const answer = Promise.withResolvers<ReadonlySet<bigint>>();
    // Those who ask in the same turn ask together.
    if (this.#heads.length === 0) queueMicrotask(() => void this.#ask());
    this.#heads.push({ claim, answer });
    return answer.promise;
  }

  /** One transaction after the other: what they answer is not all decoded in one turn. */
  async #ask(): Promise<void> {
    const questions = this.#heads;
    this.#heads = [];
    for (let at = 0; at < questions.length; at += readsPerTransaction) {
      const some = questions.slice(at, at + readsPerTransaction);
      try {
        const answers = await this.#read(some.map(({ claim }) => this.#oldest(claim)));
        some.forEach(({ claim, answer }, i) => answer.resolve(this.#frontIn(claim, answers[i])));
      } catch (error) {
        for (const { answer } of some) answer.reject(error);
      }
    }
  }

  async #read(ranges: readonly IRangeRequest[]): Promise<(IRangeResponse | undefined)[]> {
    const success = ranges.map((request_range) => ({ request_range }));
    const { responses } = await this.#parts.calls.unary(
      ({ kv }, options) => kv.txn({ success }, options),
      this.#deadline.leftMs,
      { turn: "renewals" },
    );
    return responses.map(({ response_range: answer }) => answer ?? undefined);
  }

  #oldest({ resource, capacity }: OwnClaim): IRangeRequest {
    const first = { sort_order: "Ascend", sort_target: "Create", limit: 1, keys_only: true } as const;
    return { ...this.#parts.keys.line(resource, capacity), ...first };
  }

  #frontIn(
    { resource }: OwnClaim,
    answer: IRangeResponse | undefined,
  ): Promise<ReadonlySet<bigint>> | ReadonlySet<bigint> {
    const head = answer?.kvs[0];
    if (head === undefined) return new Set();
    // Something that is no claim stands in front: look past it.
    const isClaim = hasLease(head) && this.#parts.keys.parse(head.key) !== undefined;
    return isClaim ? new Set([BigInt(head.create_revision)]) : this.#inFront(resource);
  }

  async #inFront(resource: string): Promise<ReadonlySet<bigint>> {
    const { calls, keys } = this.#parts;
    const line = await readLine(calls, keys, resource, this.#deadline.leftMs, { turn: "renewals" });
    return new Set(line.claims.filter(({ granted }) => granted).map(({ ticket }) => ticket));
  }
}
