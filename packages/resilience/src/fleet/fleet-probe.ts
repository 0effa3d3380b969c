import { Listeners } from "../base/listeners.ts";
import type { Failure, FailureEvent, PolicyContext, SuccessEvent } from "../base/policy.ts";
import { probe } from "../circuit/probe.ts";
import type { Verdict } from "../circuit/verdict.ts";
import type { ProbePass } from "./probe-slot.ts";
import type { SharedCircuitSettings } from "./shared-circuit-options.ts";

export type FleetProbeSettings = Pick<SharedCircuitSettings, "clock" | "halfOpen" | "judge">;

/**
 * Runs the call that probes for the fleet. It is its caller's call first: that the lease under which it probes is lost does
 * not end it, only its verdict then changes nothing.
 */
export class FleetProbe {
  readonly succeeded: Listeners<SuccessEvent> = new Listeners();
  readonly failed: Listeners<FailureEvent> = new Listeners();
  readonly #settings: FleetProbeSettings;
  readonly #onFenced: (term: bigint) => void;

  /** `onFenced`: what a probe found came too late to change anything. */
  constructor(settings: FleetProbeSettings, onFenced: (term: bigint) => void) {
    this.#settings = settings;
    this.#onFenced = onFenced;
  }

  async run<T>(
    fn: (context: PolicyContext) => PromiseLike<T> | T,
    signal: AbortSignal,
    pass: ProbePass,
  ): Promise<T> {
    const { clock, halfOpen } = this.#settings;
    const startMs = clock.now().monoMs;
    let value: T;
    try {
      value = await probe(fn, { clock, timeoutMs: halfOpen.probeTimeoutMs, signal });
    } catch (error) {
      this.#settle({ error }, startMs, signal, pass);
      throw error;
    }
    this.#settle({ value }, startMs, signal, pass);
    return value;
  }

  #settle(outcome: Failure, startMs: number, signal: AbortSignal, pass: ProbePass): void {
    const { clock, judge } = this.#settings;
    const duration = clock.now().monoMs - startMs;
    let verdict: Verdict = "excluded";
    try {
      verdict = "error" in outcome ? judge.ofError(outcome.error, signal) : judge.ofValue(outcome.value);
      // Too slow is no success, either.
      if (verdict === "success" && duration >= judge.slowCallMs) verdict = "failure";
    } finally {
      // Also if a predicate of the caller's threw: the slot must be free again.
      if (!pass.handIn(verdict)) this.#onFenced(pass.term);
    }
    if ("value" in outcome && verdict === "success") this.succeeded.tell({ duration });
    else this.failed.tell({ duration, handled: verdict === "failure", reason: outcome });
  }
}
