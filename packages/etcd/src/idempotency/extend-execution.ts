import type { ExtendReply, ExtendRequest } from "@leasehold/core";
import { Deadline } from "../rpc/deadline.ts";
import { toLeaseholdError } from "../rpc/failure.ts";
import { keepExecution } from "./keep-execution.ts";
import type { Parts } from "./parts.ts";

/**
 * One extend call: an unanswered one has refreshed what it has refreshed, so there is nothing to be
 * unknown.
 */
export async function extendExecution(parts: Parts, request: ExtendRequest): Promise<ExtendReply> {
  const { executions, sweep, calls } = parts;
  const execution = executions.enter(request);
  try {
    const deadline = new Deadline(calls.clock, request.timeoutMs);
    const kept = await keepExecution(parts, execution, request, deadline);
    if (kept.kind !== "kept") return { kind: kept.kind };
    const { ttlMs: leaseMs, validFrom } = kept.proof;
    return { kind: "extended", leaseMs, validFrom };
  } catch (error) {
    throw toLeaseholdError(error, "extension", false);
  } finally {
    executions.leave(execution);
    sweep.arm(execution);
  }
}
