import type { CallOptions, ChangeListener } from "./call-options.ts";
import type { Instant } from "../base/clock.ts";

/**
 * # What a store promises of idempotency records
 *
 *     absent --begin--> in progress (token n, lease) --finish--> completed | failed   kept until the retention ends
 *                          |        \--finish--> released   may be begun again, attempt + 1
 *                          \--lease ends--> may be taken over: token above n, attempt + 1
 *
 * - **Each call is one atomic step**, and may be repeated: the same `(record, owner)` gets the same answer for as long as its
 *   execution is the present one. So a lost reply is answered by asking again, never by guessing.
 * - **The fingerprint is compared first**, in every state: another payload under a key in use is a `mismatch`, before it is
 *   a conflict.
 * - **Tokens of one record strictly grow**, as tickets do: over takeover, release, retention, restart and flush.
 * - **`finish` is fenced**: only the present execution (record, owner, token) changes the record. One that was taken over can
 *   neither overwrite, nor fail, nor release what its successor has done. One that is merely late, and not replaced, still
 *   finishes.
 * - **Lease and retention are two things.** The lease is short, and kept by `extend` while the handler runs; a record whose
 *   lease has ended is not gone, it may be taken over. The retention is at least the lease; it counts from the last
 *   `begin`, `extend` or `finish`, whichever came last, and a store may keep a record somewhat longer.
 * - **Record names are opaque**; two different strings never meet. Nothing a client's clock says reaches the store.
 *
 * A backend throws as `LeaseStore` does: `BACKEND_UNAVAILABLE` (nothing was written), `OUTCOME_UNKNOWN`, `CLOSED`,
 * `INVALID_ARGUMENT`. A record that it did not write is `BACKEND_UNAVAILABLE`, permanent, and left as it is.
 */
export interface IdempotencyStore {
  /** The largest body that `finish` takes, in bytes of UTF-8. */
  readonly maxBodyBytes: number;

  /**
   * Claims a record for execution, or tells what has become of it.
   *
   * - Absent or released: `begun`.
   * - In progress by this very owner: `begun` again, the same token and attempt; the lease is refreshed, even if it had ended
   *   (nobody has taken over, or the owner would be another).
   * - In progress by another, lease running: `in-progress`.
   * - In progress by another, lease ended: taken over (`begun`), or, with `takeOver: false`, `expired`.
   * - Completed or failed: `finished`.
   * - Whatever the state, with another fingerprint: `mismatch`.
   *
   * Anything but `begun` changes nothing, except that `watched` is remembered.
   */
  begin(request: BeginRequest): Promise<BeginReply>;

  /** Refreshes lease and retention of the present execution, even if its lease had ended and nobody took over. */
  extend(request: ExtendRequest): Promise<ExtendReply>;

  /**
   * Ends the present execution. Repeated by the same owner and token with the same outcome: `done` again. `token: null` names
   * the owner alone, for one who never learned its token: what it may have begun is taken back.
   */
  finish(request: FinishRequest): Promise<FinishReply>;

  /**
   * Hears when the record of that name may have been finished, released or taken over. As
   * `LeaseStore.watch`; only of records that were begun, or asked for, with `watched`. A lease that
   * runs out may be silent. Throws `CLOSED`.
   */
  watch(record: string, listener: ChangeListener): () => void;
}

/** Names one execution of one record. */
export interface ExecutionRef {
  /** Any string. */
  readonly record: string;
  /** 32 hexadecimal digits, drawn for one `run` call (rule R1). Only a retry of that call repeats it. */
  readonly owner: string;
}

export interface BeginRequest extends ExecutionRef, CallOptions {
  /** 64 hexadecimal digits. */
  readonly fingerprint: string;
  /** How long the execution may go unextended before another may take over. As ttls: a multiple of the store's step. */
  readonly leaseMs: number;
  /** At least `leaseMs`. */
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
  /** What `begin` shall answer from now on; null: completed, and the result was not kept. At most `maxBodyBytes`. */
  readonly body: string | null;
  readonly retentionMs: number;
}

/** What an acknowledgement proves: nobody takes over before `validFrom` + `leaseMs`, by the rate of the store's clock. */
export interface Begun {
  readonly kind: "begun";
  readonly token: bigint;
  /** 1 for the first execution of this record, one more for each takeover and each begin after a release. */
  readonly attempt: number;
  readonly leaseMs: number;
  /** As in `Acknowledged`: a moment before the request was first written. */
  readonly validFrom: Instant;
}

export interface InProgress {
  readonly kind: "in-progress";
  /** How long its lease runs on unless it is extended, in milliseconds. */
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
  /** Another has taken over, or it is finished. */
  | { readonly kind: "fenced" }
  /** There is no record: the store has lost it. */
  | { readonly kind: "missing" };

/** `done`: so it is in the store now. `fenced`, `missing`: as for `extend`; nothing was changed. */
export type FinishReply = "done" | "fenced" | "missing";
