import type { Refused } from "@leasehold/core";
import type { JoinRequest } from "../format/claim-request.ts";
import type { ICompare, IKeyValue, IRequestOp, ITxnRequest, ITxnResponse } from "etcd3";
import type { Calls } from "../rpc/calls.ts";
import { isEmpty } from "../format/claim-compares.ts";
import type { Parts } from "./parts.ts";
import type { ClaimKeys, KeyRange } from "../format/claim-keys.ts";
import type { Deadline } from "../rpc/deadline.ts";
import { Line } from "../line/line.ts";
import type { LineSums } from "../line/line-sums.ts";
import { hasLease, rangeIn } from "../format/answers.ts";
import { readLine } from "../line/read-line.ts";
import type { OwnerRecord } from "../ownership/claims.ts";
import { beforeWriting, RpcFailure } from "../rpc/failure.ts";
import type { SharedLease } from "../leases/shared-lease.ts";

export type Joined =
  /** The claim was written. */
  | {
      readonly kind: "joined";
      readonly ticket: bigint;
      /** The weights of the claims before it, at the revision that is its ticket. */
      readonly ahead: number;
      /** How many those are. */
      readonly claimsAhead: number;
    }
  /** There is a claim under the owner's key already; it was not touched. */
  | { readonly kind: "present" }
  /** Nothing was written. */
  | Refused;

/**
 * Joins the line in one step, or finds out why not.
 *
 * One transaction does it whenever what it must know can be said as compares: nobody has another
 * shape, the owner has nothing here, and, for a try on capacity 1, nobody is here at all. A try on
 * a larger capacity must compare a sum, which etcd cannot: the line is added up first, and the
 * transaction holds only if nobody has joined since.
 *
 * Whoever is in the line when a claim joins stands before it, since its ticket is the newest
 * revision. So what it has ahead of it is the sum of the line in that same transaction, less
 * itself: nothing has to be sorted.
 */
export async function joinLine(
  { calls, keys, sums }: Pick<Parts, "calls" | "keys" | "sums">,
  lease: SharedLease,
  request: JoinRequest,
  record: OwnerRecord,
  deadline: Deadline,
): Promise<Joined> {
  const join = new Join(calls, keys, sums, lease, request, record, deadline);
  const atOnce = request.queue || request.capacity === 1 ? join.blind() : join.afterSumming();
  return (await atOnce) ?? join.afterReading();
}

class Join {
  readonly #calls: Calls;
  readonly #keys: ClaimKeys;
  readonly #sums: LineSums;
  readonly #request: JoinRequest;
  readonly #deadline: Deadline;
  readonly #own: Buffer;
  readonly #put: IRequestOp;
  readonly #line: KeyRange;

  constructor(
    calls: Calls,
    keys: ClaimKeys,
    sums: LineSums,
    lease: SharedLease,
    request: JoinRequest,
    record: OwnerRecord,
    deadline: Deadline,
  ) {
    this.#calls = calls;
    this.#keys = keys;
    this.#sums = sums;
    this.#request = request;
    this.#deadline = deadline;
    this.#line = keys.line(request.resource, request.capacity);
    this.#own = record.key;
    // Every put names its lease: a claim without one would live for ever.
    this.#put = { request_put: { key: record.key, value: record.stored, lease: lease.id } };
  }

  /** One transaction, no questions. Undefined: refused for a reason that takes a read to tell. */
  async blind(): Promise<Joined | undefined> {
    const { resource, capacity, weight, queue } = this.#request;
    const own = { key: this.#own };
    const sum = queue ? this.#sums.ask(resource, capacity) : undefined;
    const answer = await this.#txn({
      // A try asks for nobody in the line, the owner itself included.
      compare: [...this.#keys.otherLines(resource, capacity), queue ? own : this.#line].map(isEmpty),
      success: [this.#put, ...(sum?.reads ?? [])],
      failure: [this.#ask(own), this.#ask(this.#line, { limit: 1 })],
    });
    const ticket = BigInt(answer.header.revision);
    if (answer.succeeded) {
      const { total, claims } = sum?.read(answer, 1) ?? { total: weight, claims: 1 };
      return { kind: "joined", ticket, ahead: total - weight, claimsAhead: claims - 1 };
    }
    if (rangeIn(answer, 0).kvs.length > 0) return { kind: "present" };
    // Somebody holds, or waits: no need to know who.
    if (!queue && this.#parsed(rangeIn(answer, 1).kvs)) return { kind: "refused", reason: "held" };
    return undefined;
  }

  /**
   * A try on a larger capacity. Undefined: something is there that takes a read of the line to
   * judge.
   */
  async afterSumming(): Promise<Joined | undefined> {
    const { resource, capacity, weight } = this.#request;
    const strange = [...this.#keys.otherLines(resource, capacity), { key: this.#own }];
    while (this.#deadline.leftMs > 0) {
      const sum = this.#sums.ask(resource, capacity);
      const look = await beforeWriting(
        "read of the line",
        this.#txn({ compare: strange.map(isEmpty), success: [...sum.reads] }),
      );
      if (!look.succeeded) return undefined;
      const { total, claims } = sum.read(look, 0);
      if (total + weight > capacity) {
        // What was counted may be keys that are no claims.
        const isSure = !this.#sums.wantsRead(resource, capacity, this.#calls.now());
        return isSure ? { kind: "refused", reason: "held" } : undefined;
      }
      const answer = await this.#txn({
        compare: [this.#nobodySince(BigInt(look.header.revision))],
        success: [this.#put],
      });
      const ticket = BigInt(answer.header.revision);
      if (answer.succeeded) return { kind: "joined", ticket, ahead: total, claimsAhead: claims };
    }
    throw this.#overtaken();
  }

  /**
   * Reads the line, decides, and writes only if nobody has joined since: those who left do not
   * matter.
   */
  async afterReading(): Promise<Joined> {
    const { resource, capacity, weight, queue } = this.#request;
    let line = await beforeWriting(
      "read of the line",
      readLine(this.#calls, this.#keys, resource, this.#deadline.leftMs),
    );
    while (this.#deadline.leftMs > 0) {
      // Litter there, too: a put would keep its create revision, and so be told a wrong ticket.
      const present = [...line.claims, ...line.litter].some(({ key }) => key.equals(this.#own));
      if (present) return { kind: "present" };
      const other = line.claims.find((claim) => claim.capacity !== capacity);
      if (other !== undefined) return { kind: "refused", reason: "shape", capacity: other.capacity };
      const ahead = line.total;
      if (!queue && ahead + weight > capacity) return { kind: "refused", reason: "held" };

      const all = this.#keys.resource(resource);
      const answer = await this.#txn({
        compare: [this.#nobodySince(line.revision)],
        success: [this.#put],
        failure: [this.#ask(all)],
      });
      const revision = BigInt(answer.header.revision);
      if (answer.succeeded)
        return { kind: "joined", ticket: revision, ahead, claimsAhead: line.claims.length };
      line = new Line(this.#keys, rangeIn(answer, 0).kvs, revision);
    }
    throw this.#overtaken();
  }

  /** Holds while nobody has joined, under any capacity, since that revision. */
  #nobodySince(revision: bigint): ICompare {
    const all = this.#keys.resource(this.#request.resource);
    return { ...all, target: "Create", result: "Less", create_revision: String(revision + 1n) };
  }

  #overtaken(): RpcFailure {
    return new RpcFailure("busy", "others kept joining while this claim was weighed");
  }

  #txn(request: ITxnRequest): Promise<ITxnResponse> {
    // etcd refuses a transaction that could put something, whichever branch it would take.
    const puts = request.success?.includes(this.#put) === true;
    return this.#calls.unary(({ kv }, options) => kv.txn(request, options), this.#deadline.leftMs, { puts });
  }

  #ask(range: KeyRange | { key: Buffer }, options: { limit?: number } = {}): IRequestOp {
    return { request_range: { ...range, keys_only: true, ...options } };
  }

  #parsed(kvs: readonly IKeyValue[]): boolean {
    return kvs.some((kv) => this.#keys.parse(kv.key) !== undefined && hasLease(kv));
  }
}
