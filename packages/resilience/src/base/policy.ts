/**
 * What all policies of this package are. Structurally cockatiel's `IPolicy`, so that its `wrap`, `bulkhead`, `timeout` and
 * `fallback` take ours and ours take theirs; and none of its types, so that our declarations stand alone.
 */

/** What a policy hands to the work. */
export interface PolicyContext {
  /** Aborts when the work need not go on: its caller gave up, or its time is over. */
  readonly signal: AbortSignal;
}

/** How a call ended, where that is not what was wished for: with an error, or with a value that counts as a failure. */
export type Failure = { readonly error: unknown } | { readonly value: unknown };

export interface SuccessEvent {
  /** How long the call took, in milliseconds. */
  readonly duration: number;
}

export interface FailureEvent {
  /** How long the call took, in milliseconds. */
  readonly duration: number;
  /** Whether the policy counts it: false for what it only passes on, such as an abort. */
  readonly handled: boolean;
  readonly reason: Failure;
}

/** Adds a listener, and answers how to take it away. A listener that throws changes nothing but a process warning. */
export type PolicyEvent<T> = (listener: (event: T) => void) => { dispose(): void };

export interface Policy<Context extends PolicyContext = PolicyContext> {
  /** A mark for the compiler; there is no such property. */
  readonly _altReturn: never;
  readonly onSuccess: PolicyEvent<SuccessEvent>;
  readonly onFailure: PolicyEvent<FailureEvent>;
  /** Runs `fn` as the policy says. `signal` is the caller's: it reaches `fn` by the context. */
  execute<T>(fn: (context: Context) => PromiseLike<T> | T, signal?: AbortSignal): Promise<T>;
}
