import { channel, type Channel } from "node:diagnostics_channel";

import type { Degradation, Restoration } from "./contract/health.ts";
import type { LossReason } from "./errors.ts";
import type { RecordState } from "./idempotency/idempotency.ts";

/** What every event of a claim says. */
export interface ClaimEvent {
  /** The recipe, such as `lock`. There are few: fit for a metric's label. */
  readonly recipe: string;
  /** The name the caller gave. */
  readonly name: string;
  /** The first 8 of the owner's 32 digits: enough to follow it in a log, too few to pose as it. */
  readonly claim: string;
}

/** What every event of a granted claim says. */
export interface LeaseEvent extends ClaimEvent {
  readonly fencingToken: bigint;
}

/**
 * What became of a call under an idempotency key. `executing`: the handler runs; above attempt 1 it
 * took over, or follows a release. How that ended is a `RecordState`, `failed` (stored) or
 * `fenced`. A call that did not execute is `replayed`, `in-progress`, `mismatch` or `expired`.
 */
export type IdempotencyOutcome =
  RecordState | "executing" | "failed" | "fenced" | "replayed" | "in-progress" | "mismatch" | "expired";

/**
 * What happened in one process. `onEvent` hears it, and the diagnostics channel `leasehold:<type>`
 * publishes it. Times are in milliseconds.
 *
 * @example
 * import { subscribe } from "node:diagnostics_channel";
 * subscribe("leasehold:lost", (event) => console.error("lease lost", event));
 */
export type LeaseholdEvent =
  /** The claim joined the line behind others. */
  | (ClaimEvent & { readonly type: "queued" })
  /**
   * The claim `before` (the first 8 digits of its owner) lost its place: the store forgot it, or
   * this process was paused for longer than the ttl. This claim joins at the end of the line.
   */
  | (ClaimEvent & { readonly type: "requeued"; readonly before: string })
  /** The store granted a waiting claim. */
  | (LeaseEvent & { readonly type: "granted"; readonly waitedMs: number })
  /** The caller has its lease, after `waitedMs` from the call. */
  | (LeaseEvent & { readonly type: "acquired"; readonly waitedMs: number })
  /** The store acknowledged a renewal; `remainingMs` is what the lease has now. */
  | (LeaseEvent & { readonly type: "renewed"; readonly remainingMs: number })
  /** A renewal failed. The lease is still held until its deadline. Told once per outage. */
  | (LeaseEvent & {
      readonly type: "unconfirmed";
      readonly remainingMs: number;
      readonly error: Error;
    })
  /** The lease is lost: its signal has aborted. */
  | (LeaseEvent & { readonly type: "lost"; readonly reason: LossReason })
  /** `release()` was answered, or was not (`unknown`): then the SDK goes on trying. */
  | (LeaseEvent & {
      readonly type: "released";
      readonly outcome: "released" | "gone" | "unknown";
      readonly heldMs: number;
    })
  /** A body ignores its signal, `afterMs` after the abort. Its lease is kept until it ends. */
  | (LeaseEvent & { readonly type: "stuck"; readonly afterMs: number })
  /** A call under an idempotency key went a step further. */
  | {
      readonly type: "idempotency";
      readonly scope: string;
      /** The first 8 of the 64 digits that stand for the key: too few to use it. */
      readonly record: string;
      readonly outcome: IdempotencyOutcome;
      /** Of the execution; 0 where there is none. */
      readonly attempt: number;
    }
  /** The store serves worse than it should: `reason` says how. Once for each that lasts. */
  | (Degradation & { readonly type: "degraded"; readonly backend: string })
  /** A degradation that was told is over, `afterMs` after it was. */
  | (Restoration & { readonly type: "restored"; readonly backend: string });

/**
 * Called synchronously, one event at a time. What it throws becomes a process warning, and so does
 * the rejection of an `async` one, which nobody awaits.
 *
 * The event of a claim is told in the async context (`AsyncLocalStorage`) of the call that made the
 * claim, and that of a call under an idempotency key in that call's. Others are told in the context
 * in which the coordinator was created.
 */
export type EventListener = (event: LeaseholdEvent) => void;

/**
 * One function that tells both the callback and the diagnostics channel. A listener that fails must
 * not change what a lock does. It must not be silent either: it becomes a process warning.
 */
export function eventSink(listener?: EventListener): EventListener {
  return (event) => {
    try {
      const published = channelOf(event.type);
      if (published.hasSubscribers) published.publish(event);
      // The type says void, which lets an async function in.
      const result = listener?.(event) as unknown;
      if (result instanceof Promise) result.catch((error: unknown) => warn(event, error));
    } catch (error) {
      warn(event, error);
    }
  };
}

function warn({ type }: LeaseholdEvent, error: unknown): void {
  process.emitWarning(`A Leasehold event listener threw on "${type}": ${String(error)}`, "LeaseholdWarning");
}

const channels = new Map<LeaseholdEvent["type"], Channel>();

/** To look a channel up by its name costs a tenth of what an uncontended lock in memory does. */
function channelOf(type: LeaseholdEvent["type"]): Channel {
  let known = channels.get(type);
  if (known === undefined) {
    known = channel(`leasehold:${type}`);
    channels.set(type, known);
  }
  return known;
}
