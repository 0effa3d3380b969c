import type { FinishReply, FinishRequest } from "@leasehold/core";
import type { ITxnRequest } from "etcd3";
import { isUnchanged } from "../format/claim-compares.ts";
import { Deadline } from "../rpc/deadline.ts";
import { beforeWriting, RpcFailure, toLeaseholdError } from "../rpc/failure.ts";
import type { Begun } from "./executions.ts";
import { tries, type Parts } from "./parts.ts";
import { encodeRecordValue } from "../format/record-value.ts";
import { readRecord, lookAt, seenIn, type Place, type Seen } from "./seen-record.ts";

/**
 * One finish call: one transaction for an execution that this process has begun, which knows all
 * that is to be written; a read before it for any other.
 */
export async function finishExecution(parts: Parts, request: FinishRequest): Promise<FinishReply> {
  const { executions } = parts;
  const execution = executions.find(request);
  const known =
    request.token !== null && execution?.begun?.token === request.token ? execution.begun : undefined;
  if (request.token === null) {
    // From now on whatever it has in the store is litter, and so is what a begin of it may still
    // put there.
    executions.depart(request);
  }
  try {
    const reply = await new Finishing(parts, request).run(known);
    if (execution !== undefined) executions.drop(execution);
    if (reply === "done") executions.forgetDeparture(request);
    return reply;
  } catch (error) {
    throw toLeaseholdError(error, "finish", true);
  }
}

class Finishing {
  readonly #parts: Parts;
  readonly #request: FinishRequest;
  readonly #place: Place;
  readonly #deadline: Deadline;

  constructor(parts: Parts, request: FinishRequest) {
    const { calls, keys } = parts;
    this.#parts = parts;
    this.#request = request;
    this.#place = { recordKey: keys.record(request.record), ownerKey: keys.owner(request.record) };
    this.#deadline = new Deadline(calls.clock, request.timeoutMs);
  }

  async run(known: Begun | undefined): Promise<FinishReply> {
    let standing = known ?? this.#judge(await this.#read());
    for (let left = tries; left > 0; left--) {
      if (typeof standing === "string") return standing;
      standing = await this.#write(standing);
    }
    throw new RpcFailure("busy", "the record, or its leases, kept changing");
  }

  /** Ends the execution if it is the present one; else judges what there is. */
  async #write(present: Begun): Promise<FinishReply | Begun> {
    const { owner, outcome, body, retentionMs } = this.#request;
    const { recordKey, ownerKey } = this.#place;
    const { calls, retention } = this.#parts;
    const lease = await beforeWriting(
      "finish",
      retention.forRecord("ended", retentionMs, this.#deadline.leftMs),
    );
    const value = encodeRecordValue({ ...present, state: outcome, owner, body });
    const request: ITxnRequest = {
      // Its revision is the token, so nothing else can be in the record than what this very owner
      // has begun.
      compare: [isUnchanged(recordKey, present.token)],
      success: [
        { request_put: { key: recordKey, value, lease: lease.id } },
        { request_delete_range: { key: ownerKey } },
      ],
      failure: lookAt(this.#place),
    };
    try {
      const answer = await calls.unary(({ kv }, options) => kv.txn(request, options), this.#deadline.leftMs, {
        turn: "ends",
      });
      return answer.succeeded ? "done" : this.#judge(seenIn(answer));
    } catch (error) {
      if (!(error instanceof RpcFailure) || error.kind !== "lease-gone") throw error;
      retention.lost(lease);
      return present;
    }
  }

  #read(): Promise<Seen> {
    return beforeWriting("finish", readRecord(this.#parts.calls, this.#place, this.#deadline.leftMs));
  }

  /** What the record says to this owner; what it has begun, if that is still to be ended. */
  #judge({ record }: Seen): FinishReply | Begun {
    const { owner, token, outcome } = this.#request;
    if (record === null) return "missing";
    if (record.owner !== owner || (token !== null && record.token !== token)) return "fenced";
    if (record.state === "in-progress") return record;
    return record.state === outcome ? "done" : "fenced";
  }
}
