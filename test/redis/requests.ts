import { randomBytes } from "node:crypto";

import type {
  AcquireRequest,
  BeginReply,
  BeginRequest,
  Begun,
  FinishRequest,
  Granted,
  Queued,
  Refused,
} from "@leasehold/core";

/** What a test says of a request; what is the resource's own is named beside the rest. */
type LockOverrides = Partial<Omit<AcquireRequest, "resource">> & {
  readonly capacity?: number;
  readonly announce?: boolean;
};

/** A request for a lock, complete, with an owner of its own. */
export function lockRequest(name: string, overrides: LockOverrides = {}): AcquireRequest {
  const { capacity = 1, announce = false, ...more } = overrides;
  return {
    resource: { name, capacity, announce },
    owner: randomBytes(16).toString("hex"),
    ttlMs: 5_000,
    weight: 1,
    queue: true,
    value: "",
    maxWaiters: 1_000,
    timeoutMs: 2_000,
    ...more,
  };
}

/** The ticket of an answer that has one. */
export function ticketOf(answer: Granted | Queued | Refused): bigint {
  if (answer.kind === "refused") throw new Error(`refused: ${answer.reason}`);
  return answer.ticket;
}

/** A request to execute under an idempotency record, complete, with an owner of its own. */
export function beginRequest(record: string, more: Partial<BeginRequest> = {}): BeginRequest {
  return {
    record,
    owner: randomBytes(16).toString("hex"),
    fingerprint: "a".repeat(64),
    leaseMs: 5_000,
    retentionMs: 60_000,
    takeOver: true,
    watched: false,
    timeoutMs: 2_000,
    ...more,
  };
}

/** The request, and what it was answered; fails unless it began an execution. */
export function begunBy<T extends BeginRequest>(request: T, reply: BeginReply): T & Begun {
  if (reply.kind !== "begun") throw new Error(`not begun: ${reply.kind}`);
  return { ...request, ...reply };
}

/** A request to end an execution: completed, with a result. */
export function finishOf(
  { record, owner, token }: BeginRequest & Begun,
  more: Partial<FinishRequest> = {},
): FinishRequest {
  return {
    ...{ record, owner, token },
    outcome: "completed",
    body: "result",
    retentionMs: 60_000,
    timeoutMs: 2_000,
    ...more,
  };
}
