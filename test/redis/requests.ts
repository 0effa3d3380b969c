import { randomBytes } from "node:crypto";

import type { AcquireRequest, Granted, Queued, Refused } from "@leasehold/core";

/** A request for a lock, complete, with an owner of its own. */
export function lockRequest(resource: string, more: Partial<AcquireRequest> = {}): AcquireRequest {
  return {
    resource,
    owner: randomBytes(16).toString("hex"),
    ttlMs: 5_000,
    capacity: 1,
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
