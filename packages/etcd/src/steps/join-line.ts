import type { Refused } from "@leasehold/core";
import type { JoinRequest } from "../format/claim-request.ts";
import type { ICompare, IKeyValue, IRequestOp, ITxnRequest, ITxnResponse } from "etcd3";
import type { Calls } from "../rpc/calls.ts";
import { isEmpty } from "../format/claim-compares.ts";
import type { ClaimKeys, KeyRange } from "../format/claim-keys.ts";
import type { Deadline } from "../rpc/deadline.ts";
import { hasLease, Line } from "../line/line.ts";
import { rangeIn } from "../format/range-in.ts";
import { readLine } from "../line/read-line.ts";
import type { OwnerRecord } from "../ownership/own-claim.ts";
import { RpcFailure, toLeaseholdError } from "../rpc/failure.ts";
import type { SharedLease } from "../leases/shared-lease.ts";

export type Joined =
  /** The claim was written. */
  | { readonly kind: "joined"; readonly ticket: bigint; readonly ahead: number; readonly waiting: number }
  /** There is a claim under the owner's key already; it was not touched. */
  | { readonly kind: "present" }
  /** Nothing was written. */
  | Refused;

/**
 * Joins the line in one step, or finds out why not.
 *
 * One transaction does it whenever what it must know can be said as compares: nobody has another shape, the owner has
 * nothing here, and, for a try on capacity 1, nobody is here at all. A try on a larger capacity must add up weights, which
 * etcd cannot: the line is read, and the transaction holds only if nobody has joined since.
 */
export async function joinLine(
  calls: Calls,
  keys: ClaimKeys,
  lease: SharedLease,
  request: JoinRequest,
  record: OwnerRecord,
  deadline: Deadline,
): Promise<Joined> {
  const join = new Join(calls, keys, lease, request, record, deadline);
  const atOnce = request.queue || request.capacity === 1 ? await join.blind() : undefined;
  return atOnce ?? join.afterReading();
}

class Join {
  readonly #calls: Calls;
  readonly #keys: ClaimKeys;
  readonly #request: JoinRequest;
  readonly #deadline: Deadline;
  readonly #own: Buffer;
  readonly #put: IRequestOp;
  readonly #line: KeyRange;

  constructor(
    calls: Calls,
    keys: ClaimKeys,
    lease: SharedLease,
    request: JoinRequest,
    record: OwnerRecord,
    deadline: Deadline,
  ) {
    this.#calls = calls;
    this.#keys = keys;
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
    const answer = await this.#txn({
      // A try asks for nobody in the line, the owner itself included.
      compare: [...this.#keys.otherLines(resource, capacity), queue ? own : this.#line].map(isEmpty),
      // Capacity 1: every weight is 1, so counting is adding up, and etcd counts without reading.
      success: [
        this.#put,
        ...(queue ? [this.#ask(this.#line, capacity === 1 ? { count_only: true } : {})] : []),
      ],
      failure: [this.#ask(own), this.#ask(this.#line, { limit: 1 })],
    });
    const ticket = BigInt(answer.header.revision);
    if (answer.succeeded) {
      if (!queue) return { kind: "joined", ticket, ahead: 0, waiting: 0 };
      const range = rangeIn(answer, 1);
      if (capacity > 1) return this.#joined(new Line(this.#keys, range.kvs, ticket), ticket);
      const ahead = Number(range.count) - weight;
      return { kind: "joined", ticket, ahead, waiting: Math.max(0, ahead - 1) };
    }
    if (rangeIn(answer, 0).kvs.length > 0) return { kind: "present" };
    // Somebody holds, or waits: no need to know who.
    if (!queue && this.#parsed(rangeIn(answer, 1).kvs)) return { kind: "refused", reason: "held" };
    return undefined;
  }

  /** Reads the line, decides, and writes only if nobody has joined since: those who left do not matter. */
  async afterReading(): Promise<Joined> {
    const { resource, capacity, weight, queue } = this.#request;
    let line = await this.#read(resource);
    while (this.#deadline.leftMs > 0) {
      if (line.claims.some(({ key }) => key.equals(this.#own))) return { kind: "present" };
      const other = line.claims.find((claim) => claim.capacity !== capacity);
      if (other !== undefined) return { kind: "refused", reason: "shape", capacity: other.capacity };
      const ahead = line.total;
      if (!queue && ahead + weight > capacity) return { kind: "refused", reason: "held" };

      const all = this.#keys.resource(resource);
      const nobodySince: ICompare = {
        ...all,
        target: "Create",
        result: "Less",
        create_revision: String(line.revision + 1n),
      };
      const answer = await this.#txn({
        compare: [nobodySince],
        success: [this.#put],
        failure: [this.#ask(all)],
      });
      const revision = BigInt(answer.header.revision);
      if (answer.succeeded) {
        const waiting = line.claims.filter(({ granted }) => !granted).length;
        return { kind: "joined", ticket: revision, ahead, waiting };
      }
      line = new Line(this.#keys, rangeIn(answer, 0).kvs, revision);
    }
    throw new RpcFailure("busy", "others kept joining while this claim was weighed");
  }

  /** Nothing was written up to here, so an unanswered read leaves nothing unknown. */
  async #read(resource: string): Promise<Line> {
    try {
      return await readLine(this.#calls, this.#keys, resource, this.#deadline.leftMs);
    } catch (error) {
      throw toLeaseholdError(error, "read of the line", false);
    }
  }

  #joined(line: Line, ticket: bigint): Joined {
    const waiting = line.claims.filter((claim) => !claim.granted && claim.ticket < ticket).length;
    const ahead = line.withTicket(ticket)?.ahead ?? line.total;
    return { kind: "joined", ticket, ahead, waiting };
  }

  #txn(request: ITxnRequest): Promise<ITxnResponse> {
    return this.#calls.unary(({ kv }, options) => kv.txn(request, options), this.#deadline.leftMs);
  }

  #ask(
    range: KeyRange | { key: Buffer },
    options: { limit?: number; count_only?: boolean } = {},
  ): IRequestOp {
    return { request_range: { ...range, keys_only: true, ...options } };
  }

  #parsed(kvs: readonly IKeyValue[]): boolean {
    return kvs.some((kv) => this.#keys.parse(kv.key) !== undefined && hasLease(kv));
  }
}
