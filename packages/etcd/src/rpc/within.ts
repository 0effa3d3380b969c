import type { Clock } from "@leasehold/core";
import { RpcFailure } from "./failure.ts";

/**
 * What `promise` gives, or, after `timeoutMs` without it, a rejection: `unanswered`. For work that
 * several callers share.
 */
export function within<T>(clock: Clock, promise: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = clock.schedule(timeoutMs, () =>
      reject(new RpcFailure("unanswered", `no answer within ${Math.round(timeoutMs)} ms`)),
    );
    promise.then(resolve, reject).finally(() => timer.cancel());
  });
}
