import { invalidArgument } from "@leasehold/core";

import { checkFunction, show } from "./arguments.ts";

/**
 * The signal of a call that nobody can end. All such calls share it: an AbortController for each
 * would cost more than the rest of a policy. It keeps no listener, since it lives as long as the
 * process, and what a careless callee adds would never be collected. It is a composite of nothing,
 * so `AbortSignal.any` with it leaves no trace either.
 */
export const neverAborts: AbortSignal = AbortSignal.any([]);

Object.defineProperty(neverAborts, "addEventListener", { value: () => undefined });

/** Throws `INVALID_ARGUMENT`, or the reason of a signal that has aborted before the call. */
export function checkCall(fn: unknown, signal: unknown): void {
  checkFunction("fn", fn);
  if (signal === neverAborts) return;
  if (!(signal instanceof AbortSignal))
    throw invalidArgument(`signal must be an AbortSignal; got ${show(signal)}.`);
  signal.throwIfAborted();
}
