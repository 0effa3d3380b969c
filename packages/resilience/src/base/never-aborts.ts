/**
 * The signal of a call that nobody can end. One for all such calls: an AbortController each would cost more than the rest of
 * a policy. And one that keeps no listener: it lives as long as the process, so whatever a careless callee adds to it would
 * never be collected. A composite of nothing, so that `AbortSignal.any` with it leaves no trace either.
 */
export const neverAborts: AbortSignal = AbortSignal.any([]);

Object.defineProperty(neverAborts, "addEventListener", { value: () => undefined });
