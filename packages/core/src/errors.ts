/** Why a call failed. Stable: programs may switch on it. */
export type ErrorCode =
  /** The wait ended while the store had us in line (or somebody else held the resource). Contention, not a fault. */
  | "ACQUIRE_TIMEOUT"
  /** The claim is gone, or can no longer be believed: the store may have granted the resource to somebody else. */
  | "LEASE_LOST"
  /** The store could not be reached, and nothing was written to it. */
  | "BACKEND_UNAVAILABLE"
  /** A request was sent and not answered: it may have happened. The SDK is cleaning up in the background. */
  | "OUTCOME_UNKNOWN"
  /** A guarded resource has already seen a higher fencing token. */
  | "STALE_TOKEN"
  /** The line, or this process, has as many waiters as it may have. Nothing was joined. */
  | "TOO_MANY_WAITERS"
  /** The resource is in use with another capacity. */
  | "SHAPE_MISMATCH"
  /** Somebody else is executing under this idempotency key. `retryAfterMs` says until when at the latest, unless it goes on. */
  | "IDEMPOTENCY_IN_PROGRESS"
  /** This idempotency key was used with another payload. */
  | "IDEMPOTENCY_MISMATCH"
  /** The execution was taken over while it ran: what it did is not the result that the key has. */
  | "IDEMPOTENCY_FENCED"
  /** Executed already, and its result was not kept (too large, or of a kind that cannot be stored). */
  | "IDEMPOTENCY_RESULT_UNAVAILABLE"
  /** An argument is out of bounds. Nothing was sent. */
  | "INVALID_ARGUMENT"
  /** The coordinator is closed. */
  | "CLOSED";

export interface LeaseholdErrorOptions extends ErrorOptions {
  readonly permanent?: boolean;
  readonly retryAfterMs?: number;
}

/** The one error class of the SDK. Tell cases apart by `code`, recognise it by `isLeaseholdError`. */
export class LeaseholdError extends Error {
  override readonly name: string = "LeaseholdError";
  readonly code: ErrorCode;
  /** Whether asking again cannot help: the store refused access, or holds something else under our key. */
  readonly permanent: boolean;
  /** After how long it may be worth asking again, in milliseconds, where that is known. */
  readonly retryAfterMs: number | undefined;
  /** A brand rather than `instanceof`: two copies of this package in one process recognise each other's errors. */
  readonly "@leasehold/error": true = true;

  constructor(code: ErrorCode, message: string, options: LeaseholdErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.permanent = options.permanent ?? false;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** What ended a lease. */
export type LossReason =
  /** Its deadline passed by the local clocks, without an acknowledged renewal. */
  | "expired"
  /** The store answered that the claim is gone: expired there, deleted, flushed, or evicted. */
  | "gone"
  /** An operator evicted it. Release it once the work has stopped: others wait for that, or for its expiry. */
  | "evicted"
  /** Somebody with a higher term was seen to lead. */
  | "superseded"
  /** It was released: nothing was lost, but it is not held. */
  | "released";

/** The reason of `lease.signal`, and what `run` rejects with when the lease was lost under its body. */
export class LeaseLostError extends LeaseholdError {
  override readonly name: string = "LeaseLostError";
  readonly reason: LossReason;

  constructor(reason: LossReason, message: string, options?: ErrorOptions) {
    super("LEASE_LOST", message, options);
    this.reason = reason;
  }
}

/** Whether `value` is an error of this SDK (of any copy of it), and, if `code` is given, of that code. */
export function isLeaseholdError(value: unknown, code?: ErrorCode): value is LeaseholdError {
  if (
    typeof value !== "object" ||
    value === null ||
    (value as Partial<LeaseholdError>)["@leasehold/error"] !== true
  )
    return false;
  return code === undefined || (value as LeaseholdError).code === code;
}

/** A broken argument: says which, what it may be, and what it was. */
export function invalidArgument(message: string): LeaseholdError {
  return new LeaseholdError("INVALID_ARGUMENT", message);
}
