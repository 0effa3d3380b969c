import type { BeginReply, BeginRequest, Begun } from "@leasehold/core";
import { Deadline } from "../rpc/deadline.ts";
import type { Proof } from "@leasehold/core";
import { beforeWriting, RpcFailure, toLeaseholdError } from "../rpc/failure.ts";
import type { SharedLease } from "../leases/shared-lease.ts";
import type { Execution } from "./executions.ts";
import { keepExecution } from "./keep-execution.ts";
import { tries, type Parts } from "./parts.ts";
import { encodeOwnerValue, encodeRecordValue } from "../format/record-value.ts";
import { isAsSeen, lookAt, nothingSeen, seenIn, type Seen, type SeenRecord } from "./seen-record.ts";

/**
 * One begin call: begins the execution, or finds the one that an earlier try of it has begun, or
 * tells what is there.
 */
export async function beginExecution(parts: Parts, request: BeginRequest): Promise<BeginReply> {
  const { executions } = parts;
  const execution = executions.enter(request);
  try {
    return await new Beginning(parts, request, execution).run();
  } catch (error) {
    const failure = toLeaseholdError(error, "begin", true);
    // A copy of it may be carried out later; until its end is asked for, an owner's key of it is
    // not litter.
    if (failure.code === "OUTCOME_UNKNOWN") execution.doubtful = true;
    throw failure;
  } finally {
    executions.leave(execution);
  }
}

class Beginning {
  readonly #parts: Parts;
  readonly #request: BeginRequest;
  readonly #execution: Execution;
  readonly #deadline: Deadline;

  constructor(parts: Parts, request: BeginRequest, execution: Execution) {
    this.#parts = parts;
    this.#request = request;
    this.#execution = execution;
    this.#deadline = new Deadline(parts.calls.clock, request.timeoutMs);
  }

  /**
   * The first look is the write itself: it says what is there when that is not what it was made
   * for.
   */
  async run(): Promise<BeginReply> {
    let seen = nothingSeen;
    for (let left = tries; left > 0; left--) {
      const [lease, retention] = await this.#leases();
      const found = await this.#write(seen, lease, retention);
      if (found === "lease-gone") continue;
      if (typeof found === "bigint") {
        const begun = this.#begun(seen, found, lease, retention);
        if (!lease.gone) return begun;
        // Its owner's key may be gone with it: the next look tells, and puts it back.
        seen = nothingSeen;
        continue;
      }
      this.#parts.executions.met(this.#execution.ownerKey, found.owner);
      const reply = found.record === null ? undefined : await this.#judge(found.record, found);
      if (reply !== undefined) return reply;
      seen = found;
    }
    // Once begun it is in the store, whatever has become of its lease.
    const kind = this.#execution.begun === undefined ? "busy" : "unanswered";
    throw new RpcFailure(kind, "the record, or its leases, kept changing");
  }

  async #leases(): Promise<[SharedLease, SharedLease]> {
    const { leaseMs, retentionMs } = this.#request;
    const { leases, retention, sweeper } = this.#parts;
    const granted = await beforeWriting(
      "lease",
      Promise.all([
        leases.forAcquire(leaseMs, this.#deadline.leftMs),
        retention.forRecord("in-progress", retentionMs, this.#deadline.leftMs),
      ]),
    );
    sweeper.used(granted[0]);
    return granted;
  }

  /**
   * Begins, if all is as it was seen: answers the token, which is the revision. Else what there is.
   */
  async #write(
    seen: Seen,
    lease: SharedLease,
    retention: SharedLease,
  ): Promise<bigint | "lease-gone" | Seen> {
    const { owner, fingerprint, leaseMs } = this.#request;
    const { recordKey, ownerKey } = this.#execution;
    const attempt = (seen.record?.attempt ?? 0) + 1;
    const record = { state: "in-progress", owner, token: null, attempt, fingerprint, body: null } as const;
    // Every put names its lease: a key without one would live for ever.
    const value = encodeRecordValue(record);
    const request = {
      compare: isAsSeen(this.#execution, seen),
      success: [
        { request_put: { key: recordKey, value, lease: retention.id } },
        { request_put: { key: ownerKey, value: encodeOwnerValue({ owner, leaseMs }), lease: lease.id } },
      ],
      failure: lookAt(this.#execution),
    };
    this.#execution.lease = lease;
    const { calls, leases } = this.#parts;
    try {
      const answer = await calls.unary(({ kv }, options) => kv.txn(request, options), this.#deadline.leftMs, {
        puts: true,
      });
      return answer.succeeded ? BigInt(answer.header.revision) : seenIn(answer);
    } catch (error) {
      if (!(error instanceof RpcFailure) || error.kind !== "lease-gone") throw error;
      // etcd does not say which, and a claim must not be told of a loss that never was.
      this.#parts.retention.lost(retention);
      await beforeWriting("lease", leases.keep(lease, this.#deadline.leftMs));
      return "lease-gone";
    }
  }

  #begun(seen: Seen, token: bigint, lease: SharedLease, retention: SharedLease): Begun {
    const attempt = (seen.record?.attempt ?? 0) + 1;
    const execution = this.#execution;
    execution.begun = { token, attempt, fingerprint: this.#request.fingerprint };
    execution.retention = retention;
    execution.keyInDoubt = false;
    execution.askedAt = this.#parts.calls.now();
    // Its deadline is that of its shared lease, as a claim's is: when its key was written counts
    // for nothing, and a lease with less than half of its life left was refreshed before.
    return begunWith(token, attempt, lease.proof);
  }

  /** What the record says to this owner. Undefined: it may be begun. */
  async #judge(record: SeenRecord, { owner }: Seen): Promise<BeginReply | undefined> {
    const { state, attempt, token, body } = record;
    if (record.fingerprint !== this.#request.fingerprint) return { kind: "mismatch" };
    if (state === "released") return undefined;
    if (state !== "in-progress") return { kind: "finished", outcome: state, body, token, attempt };
    if (record.owner === this.#request.owner) return this.#again(token, attempt);
    // etcd tells how long a lease lives on only if it is asked for that alone: so this is no more
    // than an upper bound.
    if (owner !== null) return { kind: "in-progress", remainingMs: owner.leaseMs };
    return this.#request.takeOver ? undefined : { kind: "expired", attempt };
  }

  /**
   * An earlier try has begun it: the same answer again, with its lease refreshed. Undefined: it is
   * not there any more.
   */
  async #again(token: bigint, attempt: number): Promise<BeginReply | undefined> {
    const { retentionMs } = this.#request;
    const kept = await keepExecution(this.#parts, this.#execution, { token, retentionMs }, this.#deadline);
    if (kept.kind !== "kept") return undefined;
    return begunWith(token, attempt, kept.proof);
  }
}

function begunWith(token: bigint, attempt: number, { ttlMs, validFrom }: Proof): Begun {
  return { kind: "begun", token, attempt, leaseMs: ttlMs, validFrom };
}
