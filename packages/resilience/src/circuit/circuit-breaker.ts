import type { Clock, Random } from "@leasehold/core";

import type { Backoff } from "../retry/backoff.ts";
import type { WindowOptions } from "./call-window.ts";
import { readCircuitOptions } from "./circuit-settings.ts";
import type { CircuitEvent } from "../base/events.ts";
import { LocalCircuitBreaker } from "./local-circuit-breaker.ts";
import type { Policy } from "../base/policy.ts";
import type { VerdictOptions } from "./verdict.ts";

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

export interface HalfOpenOptions {
  /** How many calls are let through, and must end, before the circuit decides. Default: 1. */
  readonly calls?: number;
  /** Share of them that may fail, from 0 to below 1. Default: 0. */
  readonly threshold?: number;
  /** How long a probe may take, in milliseconds, before it is aborted and has failed. Default: 10,000. */
  readonly probeTimeoutMs?: number;
}

export interface CircuitBreakerOptions extends WindowOptions, VerdictOptions {
  /** What it guards. For errors and events: low cardinality, the dependency's name. */
  readonly name: string;
  /**
   * How long the circuit stays open before it lets a probe through: milliseconds, or a backoff over the times that it opened
   * without closing in between. Default: `exponentialBackoff({ initialMs: 5_000, maxMs: 60_000, jitter: "equal" })`.
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
 * Every call belongs to the era that it began in, and its end counts in no other: a call that was sent before the circuit
 * opened, and fails while a probe runs, says nothing of the dependency as it is now.
 */
export interface CircuitBreaker extends Policy {
  readonly name: string;
  /** `open` also when the time is over, until a call comes that may be the probe: a circuit has no timer. */
  readonly state: CircuitState;
  /** Grows with every transition, and with every reset. */
  readonly era: number;
  /** Until a probe may be tried, in milliseconds: 0 when a call would be let through now, Infinity while isolated. */
  readonly retryAfterMs: number;
  /**
   * Calls `fn` unless the circuit is open: then rejects at once with a `BrokenCircuitError` or an `IsolatedCircuitError`.
   * Nobody waits for a probe. Rejects with the signal's reason if it has aborted before; with a `TimeoutError` if the call
   * was a probe and took too long; with `INVALID_ARGUMENT`; and else as `fn` does.
   */
  execute: Policy["execute"];
  /**
   * Holds the circuit open by hand, until what it returns is disposed of; of several, until the last one is. Beneath, the
   * circuit stays as it was, but forgets what was under way.
   */
  isolate(reason: string): Disposable;
  /** Closes the circuit and forgets what it has seen. What was under way no longer counts. Lifts no isolation. */
  reset(): void;
  /** Tells each change of `state` as it happens; answers how to stop that. */
  onStateChange(listener: (change: CircuitChange) => void): () => void;
}

/** Throws `INVALID_ARGUMENT`. */
export function circuitBreaker(options: CircuitBreakerOptions): CircuitBreaker {
  return new LocalCircuitBreaker(readCircuitOptions(options));
}
