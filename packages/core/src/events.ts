import { channel } from "node:diagnostics_channel";

import type { Degradation } from "./contract/backend.ts";
import type { LossReason } from "./errors.ts";
import type { RecordState } from "./idempotency/idempotency.ts";

interface ClaimEvent {
  /** The recipe: `lock`. Low cardinality: fit for a metric's label. */
  readonly recipe: string;
  /** The name the caller gave. */
  readonly name: string;
  /** First 8 of the owner's 32 digits: enough to follow a claim through a log, too little to speak for it. */
  readonly claim: string;
}

/**
 * `executing` (taken over, or after a release, if `attempt` is above 1), and how that ended: a `RecordState`, `failed` (stored)
 * or `fenced`. For a call that did not execute: `replayed`, `in-progress`, `mismatch`, `expired`.
 */
export type IdempotencyOutcome =
  RecordState | "executing" | "failed" | "fenced" | "replayed" | "in-progress" | "mismatch" | "expired";

/** What happened, in one process. Delivered to `onEvent`, and published on the channel `leasehold:<type>`. */
export type LeaseholdEvent =
  /** The claim joined the line behind others. */
  | (ClaimEvent & { readonly type: "queued" })
  /** The store granted a waiting claim. */
  | (ClaimEvent & { readonly type: "granted"; readonly fencingToken: bigint; readonly waitedMs: number })
  /** The caller has its lease, after `waitedMs` from the call. */
  | (ClaimEvent & { readonly type: "acquired"; readonly fencingToken: bigint; readonly waitedMs: number })
  /** The store acknowledged a renewal; `remainingMs` is what the lease has now. */
  | (ClaimEvent & { readonly type: "renewed"; readonly fencingToken: bigint; readonly remainingMs: number })
  /** A renewal failed. The lease is still held until its deadline; once per outage. */
  | (ClaimEvent & {
      readonly type: "unconfirmed";
      readonly fencingToken: bigint;
      readonly remainingMs: number;
      readonly error: Error;
    })
  /** The lease is lost: its signal has aborted. */
  | (ClaimEvent & { readonly type: "lost"; readonly fencingToken: bigint; readonly reason: LossReason })
  /** `release()` was answered, or was not (`unknown`: the SDK goes on trying in the background). */
  | (ClaimEvent & {
      readonly type: "released";
      readonly fencingToken: bigint;
      readonly outcome: "released" | "gone" | "unknown";
      readonly heldMs: number;
    })
  /** A body ignores its aborted signal: it is still running `afterMs` later, and its lease is not released before it ends. */
  | (ClaimEvent & { readonly type: "stuck"; readonly fencingToken: bigint; readonly afterMs: number })
  /** A call under an idempotency key went a step further. */
  | {
      readonly type: "idempotency";
      readonly scope: string;
      /** First 8 of the 64 digits that stand for the key: enough to follow it through a log, too little to use it. */
      readonly record: string;
      readonly outcome: IdempotencyOutcome;
      /** Of the execution; 0 where there is none. */
      readonly attempt: number;
    }
  /** The store is out of reach, or pushes were interrupted. */
  | (Degradation & { readonly type: "degraded"; readonly backend: string });

export type EventListener = (event: LeaseholdEvent) => void;

/**
 * One function that tells the typed callback and the diagnostics channel. A listener that throws must not change what a
 * lock does, and must not be silent either: it becomes a process warning.
 */
export function eventSink(listener?: EventListener): EventListener {
  return (event) => {
    try {
      const published = channel(`leasehold:${event.type}`);
      if (published.hasSubscribers) published.publish(event);
      listener?.(event);
    } catch (error) {
      process.emitWarning(
        `A Leasehold event listener threw on "${event.type}": ${String(error)}`,
        "LeaseholdWarning",
      );
    }
  };
}
