/**
 * A granted claim, for as long as it lasts. The same object for the lease's whole life: renewal
 * extends it in the background, every ttl/3, until it is released or lost.
 *
 * A lease is a promise about time, and time passes between a look and an act: no lock service can
 * rule out that a process pauses right after a look. Hand `fencingToken` to the resource with every
 * write; that, and only that, is exact.
 */
export interface Lease extends AsyncDisposable {
  /** The name that was acquired. */
  readonly name: string;
  /** 128 random bits, as 32 hexadecimal digits, drawn for this acquire call alone. */
  readonly owner: string;
  /**
   * Greater than that of every earlier lease of this name. Give it to the guarded resource with
   * each operation, and let it refuse lower ones. Comparable only within one store and one name.
   */
  readonly fencingToken: bigint;
  /**
   * Aborts when the lease is lost, before the store can grant the name to another; the reason is a
   * `LeaseLostError`. Aborts also when the coordinator closes, with a reason of code `CLOSED`; the
   * lease is then still held until its body has settled.
   */
  readonly signal: AbortSignal;
  /**
   * Milliseconds until the lease ends unless it is renewed, by the local clocks at this look; 0
   * when it is not held.
   */
  readonly remainingMs: number;
  /** Whether the lease may be believed at this look. Computed from the clocks, never stored. */
  isHeld(): boolean;
  /**
   * Throws a `LeaseLostError` unless the lease is held, and stays held for `marginMs` (default 0)
   * more without any renewal. Throws `INVALID_ARGUMENT` unless that is 0 or more milliseconds.
   *
   * @example
   * lease.assertHeld(2_000); // the next step takes at most two seconds
   */
  assertHeld(marginMs?: number): void;
  /**
   * Gives the lease back. Belief ends at the call. One attempt, at most a second from when it is
   * sent (1,000 at once); repeated calls share its answer. `"gone"`: the lease had been lost, so
   * there was nothing to give back. Rejects with `OUTCOME_UNKNOWN` or `BACKEND_UNAVAILABLE` when
   * the store did not answer: the SDK goes on trying in the background, and the store frees the
   * name by itself within one ttl.
   */
  release(): Promise<"released" | "gone">;
  /** Releases. Never rejects, so it cannot mask the error of its block: a failure is an event. */
  [Symbol.asyncDispose](): Promise<void>;
}
