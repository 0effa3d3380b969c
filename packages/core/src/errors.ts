/** Why a call failed. Stable: programs may switch on it. */
export type ErrorCode =
  /** The wait ended in line, or somebody else held the resource. Contention, not a fault. */
  | "ACQUIRE_TIMEOUT"
  /** The claim is gone, or can no longer be believed: the store may have granted it to another. */
  | "LEASE_LOST"
  /** The store could not be reached, or refused: nothing was written. The message says which. */
  | "BACKEND_UNAVAILABLE"
  /** A request was sent and not answered: it may have happened. The SDK cleans up behind it. */
  | "OUTCOME_UNKNOWN"
  /** A guarded resource has already seen a higher fencing token. */
  | "STALE_TOKEN"
  /** The line, or this process, has as many waiters as it may have. Nothing was joined. */
  | "TOO_MANY_WAITERS"
  /** The resource is in use with another capacity. */
  | "SHAPE_MISMATCH"
  /** Another call executes under this idempotency key. `retryAfterMs` says when its lease ends. */
  | "IDEMPOTENCY_IN_PROGRESS"
  /** This idempotency key was used with another payload. */
  | "IDEMPOTENCY_MISMATCH"
  /** The execution was taken over while it ran. The key has, or will have, another result. */
  | "IDEMPOTENCY_FENCED"
  /** Executed already. The result was not kept: too large, or of a kind that cannot be stored. */
  | "IDEMPOTENCY_RESULT_UNAVAILABLE"
  /** An argument is out of bounds. Nothing was sent. */
  | "INVALID_ARGUMENT"
  /** The coordinator is closed. */
  | "CLOSED";

/**
 * Which failures say that the store is out of reach, and what they then say of the request. All
 * other codes are answers. A new code must be placed here before it compiles.
 */
const outages = {
  BACKEND_UNAVAILABLE: "not-written",
  OUTCOME_UNKNOWN: "maybe-written",
  ACQUIRE_TIMEOUT: null,
  LEASE_LOST: null,
  STALE_TOKEN: null,
  TOO_MANY_WAITERS: null,
  SHAPE_MISMATCH: null,
  IDEMPOTENCY_IN_PROGRESS: null,
  IDEMPOTENCY_MISMATCH: null,
  IDEMPOTENCY_FENCED: null,
  IDEMPOTENCY_RESULT_UNAVAILABLE: null,
  INVALID_ARGUMENT: null,
  CLOSED: null,
} as const satisfies Readonly<Record<ErrorCode, "not-written" | "maybe-written" | null>>;

export interface LeaseholdErrorOptions extends ErrorOptions {
  /** Default false. */
  readonly permanent?: boolean;
  /** In milliseconds. Default: not known. */
  readonly retryAfterMs?: number;
}

/** The one error class of the SDK. Tell cases apart by `code`; recognise by `isLeaseholdError`. */
export class LeaseholdError extends Error {
  override readonly name: string = "LeaseholdError";
  readonly code: ErrorCode;
  /** Asking again cannot help: the store refused access, or holds something else under our key. */
  readonly permanent: boolean;
  /** After how many milliseconds it may be worth asking again; undefined if that is not known. */
  readonly retryAfterMs: number | undefined;
  /** A brand, not `instanceof`: two copies of this package recognise each other's errors. */
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
  /** An operator evicted it. Release it once the work has stopped: others wait for that. */
  | "evicted"
  /** Somebody with a higher term was seen to lead. */
  | "superseded"
  /** It was released: nothing was lost, but it is not held. */
  | "released";

/**
 * The reason of `lease.signal`. `run` rejects with it when the lease was lost under its body. A
 * wait rejects with it only when an operator evicted it: a place in line that the store has lost is
 * taken again.
 */
export class LeaseLostError extends LeaseholdError {
  override readonly name: string = "LeaseLostError";
  readonly reason: LossReason;

  constructor(reason: LossReason, message: string, options?: ErrorOptions) {
    super("LEASE_LOST", message, options);
    this.reason = reason;
  }
}

/**
 * Whether `value` is an error of this SDK, of any copy of it, and has `code`, if that is given.
 *
 * @example
 * if (isLeaseholdError(error, "ACQUIRE_TIMEOUT")) return reply.code(409).send("busy");
 */
export function isLeaseholdError(value: unknown, code?: ErrorCode): value is LeaseholdError {
  if (typeof value !== "object" || value === null) return false;
  const { "@leasehold/error": brand, code: its } = value as Partial<LeaseholdError>;
  return brand === true && (code === undefined || its === code);
}

/**
 * Whether the store is out of reach, so that asking again may help. A store that answers by
 * refusing (`permanent`) is within reach.
 */
export function isOutage(error: unknown): error is LeaseholdError {
  if (!isLeaseholdError(error)) return false;
  const outage = outages[error.code];
  return outage === "maybe-written" || (outage === "not-written" && !error.permanent);
}

/** Whether the request behind this error may have been carried out: only a repeat can tell. */
export function mayHaveHappened(error: unknown): boolean {
  return isLeaseholdError(error) && outages[error.code] === "maybe-written";
}

/** A broken argument. The message says which, what it may be, and what it was. */
export function invalidArgument(message: string): LeaseholdError {
  return new LeaseholdError("INVALID_ARGUMENT", message);
}
