import { isLeaseholdError } from "@leasehold/core";

import { LateError } from "../servers/wait-until.ts";
import { stalls, type StallLog } from "./stall-log.ts";

/**
 * Fails unless what began at `fromNs` had ended by `toNs`, in `boundMs` and the time for which some
 * process was stalled meanwhile. A bound is a multiple of a ttl: it tells a promise that is kept
 * from one that is not, and never how fast the machine is. Answers the milliseconds that it took.
 */
export function expectWithin(
  what: string,
  boundMs: number,
  { fromNs, toNs = process.hrtime.bigint() }: { fromNs: bigint; toNs?: bigint },
  log: StallLog = stalls,
): number {
  const tookMs = Number(toNs - fromNs) / 1e6;
  const stalledMs = log.stalledMs(fromNs, toNs);
  if (tookMs <= boundMs + stalledMs) return tookMs;
  throw new LateError(
    `${what}: took ${tookMs.toFixed(0)} ms, and may take ${boundMs} ms and the ${stalledMs.toFixed(0)} ms ` +
      `for which processes were stalled meanwhile`,
  );
}

/**
 * Runs a scenario that a machine can spoil: a process that gets no turn for as long as its lease
 * lives loses the lease, rightly. One that was late, and in which some process was stalled for
 * longer than `usableMs` of twice that time, proves nothing: this says so and runs it again, three
 * times at most.
 * Broken promises are never late, and fail at once. `excuses`: what else than a `LateError` the
 * contract allows while the store is slow to answer.
 */
export async function unlessStalled<T>(
  usableMs: number,
  scenario: () => Promise<T>,
  options: {
    excuses?: (error: unknown) => boolean;
    log?: StallLog;
    say?: (line: string) => void;
  } = {},
): Promise<T> {
  const { excuses = () => false, log = stalls, say = console.log } = options;
  for (let run = 1; ; run += 1) {
    const fromNs = process.hrtime.bigint();
    try {
      return await scenario();
    } catch (error) {
      const { ms, of } = log.worst(2 * usableMs, fromNs);
      if ((!isLate(error) && !excuses(error)) || ms <= usableMs || run === 3) throw error;
      say(
        `stalled past use: ${of} got no turn for ${ms.toFixed(0)} of ${2 * usableMs} ms, and ${usableMs} ms can be borne; ` +
          `run ${run} of 3 proves nothing (${String(error)})`,
      );
    }
  }
}

/** Being late, or what a call that was late rightly says. A failed assertion is neither. */
function isLate(error: unknown): boolean {
  return (
    error instanceof LateError ||
    isLeaseholdError(error, "LEASE_LOST") ||
    isLeaseholdError(error, "ACQUIRE_TIMEOUT") ||
    isLeaseholdError(error, "OUTCOME_UNKNOWN") ||
    isLeaseholdError(error, "BACKEND_UNAVAILABLE")
  );
}

/**
 * Makes a check that only a run without long stalls has to pass: that nobody lost a lease, or that
 * no more happened than was caused. Where it fails, and some process was stalled for longer than
 * `usableMs` of twice that time, the run was late, and no promise is broken.
 */
export function checkUnstalled(
  usableMs: number,
  sinceNs: bigint,
  check: () => void,
  log: StallLog = stalls,
): void {
  try {
    check();
  } catch (error) {
    const { ms, of } = log.worst(2 * usableMs, sinceNs);
    if (ms <= usableMs) throw error;
    throw new LateError(`${of} was stalled for ${ms.toFixed(0)} of ${2 * usableMs} ms: ${String(error)}`, {
      cause: error,
    });
  }
}
