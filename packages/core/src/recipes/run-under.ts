import { isLeaseholdError, LeaseLostError } from "../errors.ts";
import type { HeldLease } from "../lease/held-lease.ts";
import type { Session } from "../lease/session.ts";

/**
 * Runs `body` under a lease, and releases the lease once the body has settled. After `graceMs` a
 * body that ignores its aborted signal is reported.
 */
export async function runUnder<T>(
  session: Session,
  lease: HeldLease,
  graceMs: number,
  body: (lease: HeldLease) => T | Promise<T>,
): Promise<T> {
  const stopWatching = reportStuck(session, lease, graceMs);
  const work = (async () => body(lease))();
  session.track(lease, work);
  let result: T;
  try {
    result = await work;
  } catch (error) {
    // Look before the release: a release ends the lease without a loss.
    const { loss } = lease;
    await lease[Symbol.asyncDispose]();
    // A body that only passed the abort on has no error of its own. Any other error is the body's,
    // and wins.
    throw loss !== null && isAbort(error) ? loss : error;
  } finally {
    stopWatching();
  }
  if (lease.loss !== null) {
    await lease[Symbol.asyncDispose]();
    throw lease.loss;
  }
  // The body has its result, and the lease was good at this look: an unanswered release is left to
  // the background. But a store that answers "gone" had lost the claim while the body ran.
  const outcome = await lease.release().catch(() => "unknown");
  if (outcome === "gone")
    throw new LeaseLostError(
      "gone",
      `The lease of ${lease.recipe} ${JSON.stringify(lease.name)} was gone when it was released.`,
    );
  return result;
}

/** The SDK cannot end a body that goes on after its signal has aborted: it can only report it. */
function reportStuck(session: Session, lease: HeldLease, graceMs: number): () => void {
  let cancel = (): void => {};
  const watch = (): void => {
    const timer = session.context.clock.schedule(graceMs, () => lease.stuck(graceMs));
    cancel = () => timer.cancel();
  };
  if (lease.signal.aborted) watch();
  else lease.signal.addEventListener("abort", watch, { once: true });
  return () => {
    lease.signal.removeEventListener("abort", watch);
    cancel();
  };
}

/** Whether an error only passes on that a signal aborted. */
export function isAbort(error: unknown): boolean {
  return isLeaseholdError(error, "LEASE_LOST") || (error instanceof Error && error.name === "AbortError");
}
