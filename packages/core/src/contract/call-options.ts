/** What every call to a store takes. */
export interface CallOptions {
  /**
   * How long the call may go without an answer, in milliseconds. Then it is given up:
   * `OUTCOME_UNKNOWN`, or `BACKEND_UNAVAILABLE` if nothing left this process.
   */
  readonly timeoutMs: number;
}

/**
 * Hears that something may have changed. First when watching has begun, so that no change after
 * the look that follows goes unheard, or when it cannot begin for now; then at each change; and
 * after any interruption, since changes may have been missed. It is a hint to look again: it may
 * come late, twice, or for nothing, and many changes may be one. Never called from within the call
 * that registers it.
 */
export type ChangeListener = () => void;
