import type { RunPolicy } from "../base/policy.ts";
import type { ResultCodec } from "./result-codec.ts";

/** The options of one scope: one operation of one tenant. */
export interface IdempotencyOptions {
  /** How long an execution outlives its last extension before another may take over, in milliseconds. Default 30,000. */
  readonly leaseMs?: number;
  /** How long results are kept, in milliseconds, from when they were stored; at least `leaseMs`. Default 86,400,000 (a day). */
  readonly retentionMs?: number;
  /**
   * What happens to a call that finds another one executing. `reject` (default): it is told at once
   * (`IDEMPOTENCY_IN_PROGRESS`). `wait`: it waits for up to `waitMs`, gets the result, or executes if the first one released.
   */
  readonly conflict?: "reject" | "wait";
  /** With `conflict: "wait"`: how long, in milliseconds; Infinity is allowed. Default: the coordinator's (30,000). */
  readonly waitMs?: number;
  /**
   * What happens to a call that finds an execution whose process died, or lost the store: what it did is not known. `retry`
   * (default): it executes again, so effects happen at least once. `fail`: it is refused with `OUTCOME_UNKNOWN`, so effects
   * happen at most once, and somebody has to look.
   */
  readonly onExpired?: "retry" | "fail";
  /** The longest that an execution is extended, in milliseconds: a handler that is stuck must not hold its key for ever. Default: 20 leases. */
  readonly maxDurationMs?: number;
  /**
   * What an error of the handler means. `stored`: it is the result, and is replayed (declined, invalid). `released`: nothing
   * happened, and the next call executes. `unknown` (default): something may have happened; the key stays taken until the
   * lease ends, and then `onExpired` decides.
   */
  readonly classifyError?: (error: unknown) => Disposition;
  /** The same of a value that the handler returns. Default: `stored`. */
  readonly classifyResult?: (value: unknown) => Disposition;
  /** The largest stored result, in bytes of its encoded form. Default 65,536; the store has a limit of its own. */
  readonly maxResultBytes?: number;
  /** Default: JSON that keeps undefined, bigint, Date and bytes. */
  readonly codec?: ResultCodec;
  /** Execute, without any protection, when the store cannot be reached. Default false: refuse, with the store's error. */
  readonly failOpen?: boolean;
}

export type Disposition = "stored" | "released" | "unknown";

export interface IdempotentRunOptions {
  /** The payload: bytes, a string, or what JSON can say. Another one under the same key is refused: `IDEMPOTENCY_MISMATCH`. */
  readonly fingerprint?: unknown;
  /** Ends the wait: rejects at once with this signal's reason. Has no say once the handler runs. */
  readonly signal?: AbortSignal;
  /**
   * Runs each attempt as a whole: a retry begins anew, and so never executes beside what it gave up. The end of an attempt (a
   * time limit's) aborts the signal of the handler, too.
   */
  readonly policy?: RunPolicy;
}

/** What a handler is told of its execution. */
export interface ExecutionContext {
  /** Aborts when the execution may no longer be believed (lost, taken over, overtime), and when the coordinator closes. */
  readonly signal: AbortSignal;
  /** 1 for the first execution under this key; above that, an earlier one was released, or died having done nobody knows what. */
  readonly attempt: number;
  /** Greater than that of every earlier execution under this key: give it to the resource. 0 when `failOpen` let it pass. */
  readonly fencingToken: bigint;
  /**
   * The idempotency key to pass on to a service that this handler calls: the same for every attempt under this scope and key,
   * and no other. This is what makes a crash between an effect and its record harmless, where that service keeps keys, too.
   */
  readonly downstreamKey: string;
  /** When `maxDurationMs` ends, in milliseconds since the epoch by this host's clock. */
  readonly deadline: number;
  /** Milliseconds until the execution may no longer be believed, unless it is extended; computed at this look. */
  readonly remainingMs: number;
}

/**
 * What became of the record of a call that executed. `stored`: it is replayed from now on. `not-stored`: executed, but the
 * result is too large or of a kind that cannot be stored; later calls get `IDEMPOTENCY_RESULT_UNAVAILABLE`. `released`,
 * `unknown`: as it was classified. `missing`: the store had lost the record, so another call may execute again. `unconfirmed`:
 * the store did not answer; stored, or taken over after the lease. `unprotected`: `failOpen`.
 */
export type RecordState =
  "stored" | "not-stored" | "released" | "unknown" | "missing" | "unconfirmed" | "unprotected";

export interface IdempotentResult<T> {
  readonly value: T;
  /** Whether an earlier call executed, and this is its result. */
  readonly replayed: boolean;
  readonly record: RecordState;
  /** Of the execution whose result this is. */
  readonly attempt: number;
  readonly fencingToken: bigint;
}

export interface Idempotency {
  readonly scope: string;
  /**
   * Executes `handler` unless this key has a result already. At most one execution is believed at a time, results are
   * replayed, and one that was taken over can neither overwrite nor release what its successor did. **Effects are not exactly
   * once**: a process may die between an effect and its record; see `onExpired`, `ExecutionContext.fencingToken` and
   * `downstreamKey`.
   *
   * Rejects with an error of the handler's own; with a `StoredFailure` when the result is an error of an earlier call;
   * `IDEMPOTENCY_IN_PROGRESS` (with `retryAfterMs`), `IDEMPOTENCY_MISMATCH`, `IDEMPOTENCY_FENCED`,
   * `IDEMPOTENCY_RESULT_UNAVAILABLE`; `OUTCOME_UNKNOWN` (a begin that was not answered; `permanent` with `onExpired: "fail"`),
   * `BACKEND_UNAVAILABLE` (the handler did not run), `LEASE_LOST` (the handler stopped because its signal aborted),
   * `INVALID_ARGUMENT`, `CLOSED`.
   */
  run<T>(
    key: string,
    options: IdempotentRunOptions,
    handler: (context: ExecutionContext) => T | Promise<T>,
  ): Promise<IdempotentResult<T>>;
}
