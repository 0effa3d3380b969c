import { Listeners, tell } from "../base/listeners.ts";
import { checkCall, neverAborts } from "../base/call-signal.ts";
import type { Failure, FailureEvent, PolicyContext, SuccessEvent } from "../base/policy.ts";
import { isTimeout, runWithin, TimeoutError } from "../base/time-limit.ts";
import type { CircuitSettings } from "./circuit-settings.ts";
import type { Verdict } from "./verdict.ts";

/** A circuit's permission for one call. */
export interface Admission {
  /** Whether the call is a probe, and so has a time limit. */
  readonly isProbe: boolean;
  /** Takes the verdict, once, and returns what it makes of it. Null: nobody wants to know times. */
  settle(verdict: Verdict, isSlow: boolean, endMs: number | null): Verdict;
}

interface Call {
  readonly admission: Admission;
  readonly signal: AbortSignal;
  /** Null where nobody wants to know how long the call takes. */
  readonly startMs: number | null;
  isSettled: boolean;
}

/** Runs the calls that a circuit admits, judges how each one ended, and tells the listeners. */
export class JudgedCalls {
  readonly succeeded: Listeners<SuccessEvent> = new Listeners();
  readonly failed: Listeners<FailureEvent> = new Listeners();
  readonly #settings: Pick<CircuitSettings, "clock" | "judge" | "halfOpen">;

  constructor(settings: Pick<CircuitSettings, "clock" | "judge" | "halfOpen">) {
    this.#settings = settings;
  }

  /** Rejects with what `admit` throws when it refuses the call, and else as `execute` promises. */
  async run<T>(
    fn: (context: PolicyContext) => PromiseLike<T> | T,
    signal: AbortSignal,
    admit: () => Admission,
  ): Promise<T> {
    checkCall(fn, signal);
    const admission = admit();
    const call: Call = { admission, signal, startMs: this.#startMs(), isSettled: false };
    const unwatch = signal === neverAborts ? null : this.#watch(call);
    let value: T;
    try {
      value = await (admission.isProbe ? this.#probe(fn, signal) : fn({ signal }));
    } catch (error) {
      this.#settle(call, { error });
      throw error;
    } finally {
      unwatch?.();
    }
    this.#settle(call, { value });
    return value;
  }

  #startMs(): number | null {
    const isWanted = this.#settings.judge.slowCallMs < Infinity || this.succeeded.any || this.failed.any;
    return isWanted ? this.#settings.clock.now().monoMs : null;
  }

  /** A probe that hangs ends at its time limit, even if `fn` ignores that, and frees its slot. */
  #probe<T>(fn: (context: PolicyContext) => PromiseLike<T> | T, signal: AbortSignal): Promise<T> {
    const { clock, halfOpen } = this.#settings;
    const limitMs = halfOpen.probeTimeoutMs;
    const timeout = (): TimeoutError => new TimeoutError("probe", limitMs);
    return runWithin((merged) => fn({ signal: merged }), { clock, limitMs, timeout, signal });
  }

  /**
   * A call has failed at the moment when its signal says that its time is over. It may ignore the
   * signal and never end, and a dependency that hangs is the first thing a circuit is for.
   */
  #watch(call: Call): () => void {
    const { signal } = call;
    const judge = (): void => {
      if (isTimeout(signal.reason)) this.#settle(call, { error: signal.reason });
    };
    const watch = (): void => tell(judge, undefined);
    signal.addEventListener("abort", watch, { once: true });
    return () => signal.removeEventListener("abort", watch);
  }

  #settle(call: Call, outcome: Failure): void {
    if (call.isSettled) return;
    call.isSettled = true;
    const { admission, signal, startMs } = call;
    const { clock, judge } = this.#settings;
    const endMs = startMs === null ? null : clock.now().monoMs;
    const duration = startMs === null || endMs === null ? 0 : endMs - startMs;
    let verdict: Verdict = "excluded";
    try {
      verdict = "error" in outcome ? judge.ofError(outcome.error, signal) : judge.ofValue(outcome.value);
    } finally {
      // Also when a predicate of the caller's threw: a probe's slot must be free again.
      verdict = admission.settle(verdict, duration >= judge.slowCallMs, endMs);
    }
    if (startMs === null) return;
    if ("value" in outcome && verdict === "success") this.succeeded.tell({ duration });
    else this.failed.tell({ duration, handled: verdict === "failure", reason: outcome });
  }
}
