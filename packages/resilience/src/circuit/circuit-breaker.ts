import type { Clock, Random } from "@leasehold/core";

import type { Policy } from "../base/policy.ts";
import type { Backoff } from "../retry/backoff.ts";

/** `isolated`: an operator holds it open. */
export type CircuitState = "closed" | "open" | "half-open" | "isolated";

export interface CircuitChange {
  readonly from: CircuitState;
  readonly to: CircuitState;
  /** The era that begins. */
  readonly era: number;
  /** One of a few phrases, such as `failure rate`; of an isolation, what the operator said. */
  readonly reason: string;
}

interface CircuitEventBase {
  /** The circuit's name, or its registry's. Low cardinality: fit for a metric's label. */
  readonly circuit: string;
  /** The key in the registry; absent outside of one. As many as the caller has keys: no label. */
  readonly key?: string;
}

/** What a circuit did. Published on the channel `leasehold:circuit`. */
export type CircuitEvent =
  | (CircuitEventBase & CircuitChange & { readonly type: "changed" })
  /** A call was refused: nothing was sent. */
  | (CircuitEventBase & {
      readonly type: "rejected";
      readonly state: CircuitState;
      readonly era: number;
      readonly retryAfterMs: number;
    });

/** Which calls a closed circuit remembers, to judge its dependency by. */
export type CallWindowOptions =
  /** Opens after so many failures in a row. A success starts the count again. Knows no rates. */
  | { readonly type: "consecutive"; readonly failures: number }
  /** The last so many calls. */
  | { readonly type: "count"; readonly calls: number }
  /**
   * The calls of the last so many milliseconds. The oldest of `buckets` (default 10) goes whole.
   */
  | { readonly type: "time"; readonly durationMs: number; readonly buckets?: number };

export interface RateOptions {
  /** Share of failed calls at which the circuit opens, above 0 and at most 1. Default: 0.5. */
  readonly failureRateThreshold?: number;
  /** Share of slow calls at which it opens, likewise. Default: 1. Needs `slowCallMs`. */
  readonly slowCallRateThreshold?: number;
  /** With fewer calls no rate is believed. Default: 20, or all of a smaller count window. */
  readonly minimumCalls?: number;
}

export interface WindowOptions extends RateOptions {
  /** Default: `{ type: "time", durationMs: 30_000 }`. */
  readonly window?: CallWindowOptions;
}

export interface VerdictOptions {
  /**
   * Which errors count as failures. The others are answers, and so successes. Default: all that are
   * not excluded. An answer that comes too late is none: a `TimeoutError` always counts as a
   * failure.
   */
  readonly failureIf?: (error: unknown) => boolean;
  /** Which values count as failures, such as a response with status 503. Default: none. */
  readonly failureIfResult?: (value: unknown) => boolean;
  /**
   * Which further errors say nothing of the dependency, such as bugs of your own. Default: none.
   */
  readonly excludeIf?: (error: unknown) => boolean;
  /** From how many milliseconds on a call counts as slow. Default: none does. */
  readonly slowCallMs?: number;
}

export interface HalfOpenOptions {
  /** How many calls are let through, and must end, before the circuit decides. Default: 1. */
  readonly calls?: number;
  /** Share of them that may fail, from 0 to below 1. Default: 0. */
  readonly threshold?: number;
  /** After so many milliseconds a probe is aborted and has failed. Default: 10,000. */
  readonly probeTimeoutMs?: number;
}

export interface CircuitBreakerOptions extends WindowOptions, VerdictOptions {
  /** What it guards. For errors and events: low cardinality, the dependency's name. */
  readonly name: string;
  /**
   * How long the circuit stays open before it lets a probe through: milliseconds, or a backoff over
   * the times that it opened without closing in between. Default:
   * `exponentialBackoff({ initialMs: 5_000, maxMs: 60_000, jitter: "equal" })`.
   */
  readonly openMs?: number | Backoff;
  readonly halfOpen?: HalfOpenOptions;
  readonly onEvent?: (event: CircuitEvent) => void;
  readonly clock?: Clock;
  readonly random?: Random;
}

/**
 * Stops calling what fails, and finds out by single calls whether it is back.
 *
 * Every call belongs to the era that it began in, and its end counts in no other. A call that was
 * sent before the circuit opened, and fails while a probe runs, says nothing of the dependency as
 * it is now.
 */
export interface CircuitBreaker extends Policy {
  readonly name: string;
  /** A circuit has no timer: it stays `open` after its time until a call comes to be the probe. */
  readonly state: CircuitState;
  /** Grows with every transition, and with every reset. */
  readonly era: number;
  /** How long until a probe may be tried, in milliseconds: 0 means now; Infinity while isolated. */
  readonly retryAfterMs: number;
  /**
   * Calls `fn` unless the circuit is open: then rejects at once with a `BrokenCircuitError` or an
   * `IsolatedCircuitError`. Nobody waits for a probe. Rejects with the signal's reason if the
   * signal has aborted before; with a `TimeoutError` if the call was a probe and took too long;
   * with `INVALID_ARGUMENT`; and else as `fn` does.
   */
  execute: Policy["execute"];
  /**
   * Holds the circuit open by hand until the result is disposed of; of several isolations, until
   * the last one is. Beneath, the circuit keeps its state, but forgets the calls that were under
   * way.
   */
  isolate(reason: string): Disposable;
  /** Closes the circuit and forgets all calls, those under way included. Lifts no isolation. */
  reset(): void;
  /** Tells each change of `state` as it happens. Returns how to stop that. */
  onStateChange(listener: (change: CircuitChange) => void): () => void;
}
