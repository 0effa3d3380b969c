/**
 * Runs work once, several times, or not at all: a retry, a circuit breaker, a time limit. The type
 * is structural: the policies of `@leasehold/resilience` and of cockatiel fit, alone and wrapped.
 */
export interface RunPolicy {
  /** Settles as the last attempt does. `signal` is the caller's; each attempt gets its own. */
  execute<T>(
    work: (context: { readonly signal: AbortSignal }) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T>;
}
