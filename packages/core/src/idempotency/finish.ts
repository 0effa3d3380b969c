import { again } from "../base/again.ts";
import type { Context } from "../context.ts";
import type { FinishReply, FinishRequest } from "../contract/idempotency-store.ts";
import { isOutage } from "../errors.ts";
import type { Execution } from "./execution.ts";

const finishTimeoutMs = 2_000;
/** An end is told again for this long at least: a lease may be shorter than an outage. */
const finishForMs = 5_000;

/** How an execution ended. */
export type Ending = Pick<FinishRequest, "outcome" | "body">;

/**
 * Tells the store how an execution ended, and repeats that while no answer comes: the same owner
 * and token get the same answer. The execution is extended meanwhile, so nobody takes over for as
 * long as an answer may still come.
 */
export async function finish(
  { clock, random, backend }: Context,
  { ref, token, times }: Execution,
  ending: Ending,
): Promise<FinishReply | "unconfirmed"> {
  const { leaseMs, retentionMs } = times;
  const request = { ...ref, token, ...ending, retentionMs, timeoutMs: finishTimeoutMs };
  return again(() => backend.idempotency.finish(request), {
    ...{ clock, random },
    firstMs: 25,
    longestMs: 500,
    withinMs: Math.max(leaseMs, finishForMs),
    keepAlive: true,
    isPassing: isOutage,
  }).catch(() => "unconfirmed" as const);
}
