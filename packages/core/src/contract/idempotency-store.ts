import type { Instant } from "../base/clock.ts";
import type { CallOptions, ChangeListener } from "./call-options.ts";

/**
 * # The contract between core and a store of idempotency records
 *
 *     absent --begin--> in progress (token n, lease) --finish--> completed | failed
 *                          |        \--finish--> released: may begin again, attempt + 1
 *                          \--lease ends--> may be taken over: token above n, attempt + 1
 *
 * A completed or failed record is kept until its retention ends. A store promises this, and the
 * conformance kit (`@leasehold/testing`) proves it:
 *
 * - **Each call is one atomic step**, and may be repeated: the same `(record, owner)` gets the same
 *   answer for as long as its execution is the present one. So a lost reply is answered by asking
 *   again, never by guessing.
 * - **The fingerprint is compared first**, in every state: another payload under a key in use is a
 *   `mismatch`, before it is a conflict.
 * - **Tokens of one record strictly grow**, as tickets do: over takeover, release, retention,
 *   restart and flush.
 * - **`finish` is fenced**: only the present execution (record, owner, token) changes the record.
 *   An execution that was taken over can neither overwrite, nor fail, nor release what its
 *   successor has done. An execution that is merely late, and not replaced, still finishes.
 * - **Lease and retention are two things.** The lease is short, and `extend` keeps it while the
 *   handler runs. A record whose lease has ended is not gone: it may be taken over. The retention
 *   is at least the lease. It counts from the latest `begin`, `extend` or `finish`, and a store may
 *   keep a record somewhat longer.
 * - **Record names are opaque**; two different strings never meet.
 * - **Nothing a client's clock says reaches the store.**
 *
 * A backend throws as for `LeaseStore`: `BACKEND_UNAVAILABLE` (nothing was written),
 * `OUTCOME_UNKNOWN`, `CLOSED`, `INVALID_ARGUMENT`. A record that the backend did not write is
 * `BACKEND_UNAVAILABLE`, permanent, and left as it is.
 */
export interface IdempotencyStore {
  /** The largest body that `finish` takes, in bytes of UTF-8. */
  readonly maxBodyBytes: number;

  /**
   * Claims a record for execution, or tells what has become of it.
   *
   * - Absent or released: `begun`.
   * - In progress by this very owner: `begun` again, with the same token and attempt. The lease is
   *   refreshed, even if it had ended: nobody has taken over, or the owner would be another.
   * - In progress by another, lease running: `in-progress`.
   * - In progress by another, lease ended: taken over (`begun`), or `expired` with `takeOver:
   *   false`.
   * - Completed or failed: `finished`.
   * - Whatever the state, with another fingerprint: `mismatch`.
   *
   * Anything but `begun` changes nothing, except that `watched` is remembered.
   */
  begin(request: BeginRequest): Promise<BeginReply>;

  /** Refreshes the present execution, even if its lease had ended and nobody has taken over. */
  extend(request: ExtendRequest): Promise<ExtendReply>;

  /**
   * Ends the present execution. A repeat by the same owner and token, with the same outcome, is
   * `done` again. `token: null` names the owner alone, for a caller that never learned its token:
   * what it may have begun is taken back.
   */
  finish(request: FinishRequest): Promise<FinishReply>;

  /**
   * Hears when the record of that name may have been finished, released or taken over, as
   * `LeaseStore.watch` does. Only of records that were begun, or asked for, with `watched`. A lease
   * that runs out may be silent. Throws `CLOSED`.
   */
  watch(record: string, listener: ChangeListener): () => void;
}

/** Names one execution of one record. */
export interface ExecutionRef {
  /** Any string. */
  readonly record: string;
  /** 32 hexadecimal digits, drawn for one `run` call (rule R1). Only its retries repeat it. */
  readonly owner: string;
}

export interface BeginRequest extends ExecutionRef, CallOptions {
  /** 64 hexadecimal digits. */
  readonly fingerprint: string;
  /**
   * How long the execution may go unextended before another may take over, in milliseconds. A
   * multiple of the store's step, as ttls are.
   */
  readonly leaseMs: number;
  /** In milliseconds; at least `leaseMs`. */
  readonly retentionMs: number;
  /** Whether to take over a record whose lease has ended. */
  readonly takeOver: boolean;
  /** Whether this caller watches the record, so that its end has to be announced. */
  readonly watched: boolean;
}

export interface ExtendRequest extends ExecutionRef, CallOptions {
  readonly token: bigint;
  readonly leaseMs: number;
  readonly retentionMs: number;
}

export interface FinishRequest extends ExecutionRef, CallOptions {
  /** Null: whatever token this owner has. Only with `released`. */
  readonly token: bigint | null;
  readonly outcome: "completed" | "failed" | "released";
  /**
   * What `begin` answers from now on; at most `maxBodyBytes`. Null: nothing was kept of the result,
   * or the record is released.
   */
  readonly body: string | null;
  readonly retentionMs: number;
}

/**
 * Proves that nobody takes over before `validFrom` + `leaseMs`, by the rate of the store's clock.
 */
export interface Begun {
  readonly kind: "begun";
  readonly token: bigint;
  /**
   * 1 for the record's first execution; one more for each takeover and each begin after a release.
   */
  readonly attempt: number;
  readonly leaseMs: number;
  /** As in `Acknowledged`: a moment before the request was first written. */
  readonly validFrom: Instant;
}

export interface InProgress {
  readonly kind: "in-progress";
  /** How long the lease runs on unless it is extended, in milliseconds. */
  readonly remainingMs: number;
}

export interface Finished {
  readonly kind: "finished";
  readonly outcome: "completed" | "failed";
  /** As stored: untrusted text. Null: the result was not kept. */
  readonly body: string | null;
  readonly token: bigint;
  readonly attempt: number;
}

/** The record belongs to another payload. */
export interface Mismatch {
  readonly kind: "mismatch";
}

/** An execution began, its lease ended, and it never finished: what it did is not known. */
export interface Expired {
  readonly kind: "expired";
  readonly attempt: number;
}

export type BeginReply = Begun | InProgress | Finished | Mismatch | Expired;

export type ExtendReply =
  | { readonly kind: "extended"; readonly leaseMs: number; readonly validFrom: Instant }
  /** Another execution has taken over, or the record is finished. */
  | { readonly kind: "fenced" }
  /** There is no record: the store has lost it. */
  | { readonly kind: "missing" };

/**
 * `done`: the store has it so now. `fenced` and `missing`: as for `extend`; nothing was changed.
 */
export type FinishReply = "done" | "fenced" | "missing";
