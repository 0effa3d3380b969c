/**
 * What all policies of this package are. They have the structure of cockatiel's `IPolicy`, so its
 * `wrap`, `bulkhead`, `timeout` and `fallback` take our policies, and our policies take its own.
 * They use none of its types, so our declarations stand alone.
 */

/** What a policy hands to the work. */
export interface PolicyContext {
  /** Aborts when the work need not go on: its caller gave up, or its time is over. */
  readonly signal: AbortSignal;
}

/** How a call failed: with an error, or with a value that counts as a failure. */
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

/** Adds a listener, and returns how to remove it. Its errors become process warnings. */
export type PolicyEvent<T> = (listener: (event: T) => void) => { dispose(): void };

export interface Policy<Context extends PolicyContext = PolicyContext> {
  /** A mark for the compiler; there is no such property. */
  readonly _altReturn: never;
  readonly onSuccess: PolicyEvent<SuccessEvent>;
  readonly onFailure: PolicyEvent<FailureEvent>;
  /** Runs `fn` as the policy says. `signal` is the caller's: `fn` sees it through the context. */
  execute<T>(fn: (context: Context) => PromiseLike<T> | T, signal?: AbortSignal): Promise<T>;
}
