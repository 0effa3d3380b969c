/**
 * Something that runs work for us, perhaps more than once, perhaps not at all: a retry, a circuit breaker, a time limit. By
 * structure, so that the policies of `@leasehold/resilience` and of cockatiel fit, alone and wrapped.
 */
export interface RunPolicy {
  execute<T>(
    work: (context: { readonly signal: AbortSignal }) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T>;
}
