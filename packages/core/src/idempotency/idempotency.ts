import type { RunPolicy } from "../base/policy.ts";
import type { ResultCodec } from "./result-codec.ts";

/** The options of one scope: one operation of one tenant. */
export interface IdempotencyOptions {
  /**
   * How long an execution outlives its last extension before another may take over, in
   * milliseconds. Default 30,000.
   */
  readonly leaseMs?: number;
  /**
   * How long a result is kept from when it was stored, in milliseconds; at least `leaseMs`. Default
   * 86,400,000 (a day).
   */
  readonly retentionMs?: number;
  /**
   * What happens to a call that finds another one executing.
   *
   * - `reject` (default): it rejects at once, with `IDEMPOTENCY_IN_PROGRESS`.
   * - `wait`: it waits for up to `waitMs`, and gets the result. If the first one released its key,
   *   it executes.
   */
  readonly conflict?: "reject" | "wait";
  /**
   * With `conflict: "wait"`: how long, in milliseconds. Infinity is allowed. Default: the
   * coordinator's (30,000).
   */
  readonly waitMs?: number;
  /**
   * What happens to a call that finds an execution whose process died, or lost the store. What that
   * execution did is not known.
   *
   * - `retry` (default): the call executes again, so effects happen at least once.
   * - `fail`: the call rejects with `OUTCOME_UNKNOWN`, so effects happen at most once, and somebody
   *   has to look.
   */
  readonly onExpired?: "retry" | "fail";
  /**
   * The longest that an execution is extended, in milliseconds: a handler that is stuck must not
   * hold its key for ever. Infinity is allowed. Default: 20 times `leaseMs`.
   */
  readonly maxDurationMs?: number;
  /** What an error of the handler means. Default: `unknown`. */
  readonly classifyError?: (error: unknown) => Disposition;
  /** What a value that the handler returns means. Default: `stored`. */
  readonly classifyResult?: (value: unknown) => Disposition;
  /**
   * The largest result that is stored, in bytes of its encoded form. Default 65,536. The store has
   * a limit of its own.
   */
  readonly maxResultBytes?: number;
  /** Turns results into text and back. Default: `resultCodec`. */
  readonly codec?: ResultCodec;
  /**
   * Whether to execute without any protection when the store cannot be reached. Default false: the
   * call rejects with the store's error.
   */
  readonly failOpen?: boolean;
}

/**
 * What the outcome of a handler means.
 *
 * - `stored`: it is the result, and is replayed from now on. For an error: declined, invalid.
 * - `released`: nothing happened, and the next call executes.
 * - `unknown`: something may have happened. The key stays taken until the lease ends; then
 *   `onExpired` decides.
 */
export type Disposition = "stored" | "released" | "unknown";

export interface IdempotentRunOptions {
  /**
   * The payload: bytes, a string, or whatever JSON can express. Another payload under the same key
   * rejects with `IDEMPOTENCY_MISMATCH`. Default: no payload, which is a payload of its own.
   */
  readonly fingerprint?: unknown;
  /**
   * Ends the wait: the call rejects at once with this signal's reason. It has no effect once the
   * handler runs. Default: none.
   */
  readonly signal?: AbortSignal;
  /**
   * Runs each attempt as a whole: a retry begins anew, and so never executes beside an attempt that
   * was given up. The end of an attempt, such as that of a time limit, also aborts the signal of
   * the handler. Default: one attempt.
   */
  readonly policy?: RunPolicy;
}

/** What a handler is told of its execution. */
export interface ExecutionContext {
  /**
   * Aborts when the execution may no longer be believed (lost, taken over, overtime), and when the
   * coordinator closes.
   */
  readonly signal: AbortSignal;
  /**
   * 1 for the first execution under this key. Above 1, an earlier one was released, or it died and
   * what it did is not known. 0 when `failOpen` let the call pass.
   */
  readonly attempt: number;
  /**
   * Greater than that of every earlier execution under this key: give it to the resource. 0 when
   * `failOpen` let the call pass.
   */
  readonly fencingToken: bigint;
  /**
   * The idempotency key for a service that this handler calls. It is the same for every attempt
   * under this scope and key, and for no other. Where that service keeps keys, too, a crash between
   * the effect and its record does no harm.
   */
  readonly downstreamKey: string;
  /** When `maxDurationMs` ends, in milliseconds since the epoch by this host's clock. */
  readonly deadline: number;
  /**
   * Milliseconds until the execution may no longer be believed, unless it is extended. Computed at
   * this look; 0 when `failOpen` let the call pass.
   */
  readonly remainingMs: number;
}

/**
 * What became of the record of a call that executed.
 *
 * - `stored`: the result is replayed from now on.
 * - `not-stored`: the result is too large, or of a kind that cannot be stored. Later calls reject
 *   with `IDEMPOTENCY_RESULT_UNAVAILABLE`.
 * - `released`, `unknown`: as the outcome was classified.
 * - `missing`: the store had lost the record, so another call may execute again.
 * - `unconfirmed`: the store did not answer. The result was stored, or another call takes over
 *   after the lease.
 * - `unprotected`: `failOpen` let the call pass.
 */
export type RecordState =
  "stored" | "not-stored" | "released" | "unknown" | "missing" | "unconfirmed" | "unprotected";

export interface IdempotentResult<T> {
  readonly value: T;
  /** Whether this is the result of an earlier call: this one did not execute. */
  readonly replayed: boolean;
  readonly record: RecordState;
  /** Of the execution whose result this is. */
  readonly attempt: number;
  /** Of the execution whose result this is. */
  readonly fencingToken: bigint;
}

/** Idempotency keys of one scope. */
export interface Idempotency {
  readonly scope: string;
  /**
   * Executes `handler`, unless `key` (1 to 512 bytes) has a result already.
   *
   * At most one execution is believed at a time, and results are replayed. An execution that was
   * taken over can neither overwrite nor release what its successor did. **Effects are not exactly
   * once**: a process may die between an effect and its record. See `onExpired`,
   * `ExecutionContext.fencingToken` and `ExecutionContext.downstreamKey`.
   *
   * Rejects with:
   * - an error of the handler's own, or a `StoredFailure`: the result is an error of an earlier
   *   call;
   * - `IDEMPOTENCY_IN_PROGRESS` (with `retryAfterMs`): another call executes;
   * - `IDEMPOTENCY_MISMATCH`: the key was used with another payload;
   * - `IDEMPOTENCY_FENCED`: another call took over while the handler ran;
   * - `IDEMPOTENCY_RESULT_UNAVAILABLE`: executed already, but the result was not kept;
   * - `OUTCOME_UNKNOWN`: the store did not answer, and the handler did not run. Or, `permanent` and
   *   with `onExpired: "fail"`: an earlier execution never finished;
   * - `BACKEND_UNAVAILABLE`: the store is out of reach, and the handler did not run. Or,
   *   `permanent`: what is stored under the key cannot be read;
   * - `LEASE_LOST`: the handler stopped because its signal aborted;
   * - `INVALID_ARGUMENT`, `CLOSED`, or the reason of `signal`.
   *
   * @example
   * const charges = coordinator.idempotency("tenant-7/charges");
   * const { value, replayed } = await charges.run(
   *   request.headers["idempotency-key"],
   *   { fingerprint: request.body },
   *   ({ downstreamKey, signal }) => provider.charge(request.body, { key: downstreamKey, signal }),
   * );
   */
  run<T>(
    key: string,
    options: IdempotentRunOptions,
    handler: (context: ExecutionContext) => T | Promise<T>,
  ): Promise<IdempotentResult<T>>;
}
