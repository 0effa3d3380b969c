import { checkFunction, checkSignal, checkText } from "../base/arguments.ts";
import { nextDelayMs } from "../retry/backoff.ts";
import { BrokenCircuitError, IsolatedCircuitError } from "./broken-circuit-error.ts";
import type { CallWindow } from "./call-window.ts";
import type { CircuitBreaker, CircuitChange, CircuitState } from "./circuit-breaker.ts";
import type { CircuitSettings } from "./circuit-settings.ts";
import type { CircuitEvent } from "../base/events.ts";
import { eventSink, Listeners, tell } from "../base/listeners.ts";
import { neverAborts } from "../base/never-aborts.ts";
import type { Failure, FailureEvent, PolicyContext, PolicyEvent, SuccessEvent } from "../base/policy.ts";
import { probe } from "./probe.ts";
import { isTimeout } from "../base/time-limit.ts";
import type { Verdict } from "./verdict.ts";

/** What a half-open circuit has let through. */
interface Trial {
  inFlight: number;
  succeeded: number;
  failed: number;
  /** When the last probe ends at the latest. */
  endMs: number;
}

/** One call that was let through. */
interface Call {
  readonly era: number;
  /** Null where nobody wants to know how long it takes. */
  readonly startMs: number | null;
  judged: boolean;
}

/** One circuit of one process. Time is looked at when a call needs it: there is no timer but that of a running probe. */
export class LocalCircuitBreaker implements CircuitBreaker {
  declare readonly _altReturn: never;
  readonly name: string;
  readonly onSuccess: PolicyEvent<SuccessEvent>;
  readonly onFailure: PolicyEvent<FailureEvent>;

  readonly #settings: CircuitSettings;
  readonly #key: string | undefined;
  readonly #window: CallWindow;
  readonly #succeeded = new Listeners<SuccessEvent>();
  readonly #failed = new Listeners<FailureEvent>();
  readonly #changed = new Listeners<CircuitChange>();
  readonly #emit: (event: CircuitEvent) => void;
  /** Why it is held open, in the order of the asking. */
  readonly #isolations = new Set<{ readonly reason: string }>();

  #era = 0;
  /** What it would be if nobody isolated it. */
  #beneath: Exclude<CircuitState, "isolated"> = "closed";
  #openUntilMs = 0;
  /** How often it opened since it last closed, and for how long the last time. */
  #openings = 0;
  #openMs = 0;
  #trial: Trial = freshTrial();

  constructor(settings: CircuitSettings, key?: string) {
    this.#settings = settings;
    this.#key = key;
    this.name = key === undefined ? settings.name : `${settings.name}:${key}`;
    this.#window = settings.createWindow();
    this.#emit = eventSink("leasehold:circuit", settings.onEvent);
    this.onSuccess = this.#succeeded.event;
    this.onFailure = this.#failed.event;
  }

  get state(): CircuitState {
    return this.#isolations.size > 0 ? "isolated" : this.#beneath;
  }

  get era(): number {
    return this.#era;
  }

  get retryAfterMs(): number {
    switch (this.state) {
      case "closed":
        return 0;
      case "open":
        return Math.max(0, this.#openUntilMs - this.#nowMs());
      case "half-open":
        return this.#hasRoom() ? 0 : Math.max(0, this.#trial.endMs - this.#nowMs());
      case "isolated":
        return Infinity;
    }
  }

  async execute<T>(
    fn: (context: PolicyContext) => PromiseLike<T> | T,
    signal: AbortSignal = neverAborts,
  ): Promise<T> {
    checkFunction("fn", fn);
    if (signal !== neverAborts) checkSignal(signal).throwIfAborted();
    const isProbe = this.#admit();
    const call: Call = { era: this.#era, startMs: this.#startMs(), judged: false };
    const unwatch = signal === neverAborts ? null : this.#watch(call, signal);
    let value: T;
    try {
      value = await (isProbe ? this.#probe(fn, signal) : fn({ signal }));
    } catch (error) {
      this.#settle(call, { error }, signal);
      throw error;
    } finally {
      unwatch?.();
    }
    this.#settle(call, { value }, signal);
    return value;
  }

  isolate(reason: string): Disposable {
    const isolation = { reason: checkText("reason", reason) };
    const from = this.state;
    this.#isolations.add(isolation);
    if (from !== "isolated") {
      // Probes under way are of an era that is over, and free no slot: after the isolation there are new ones.
      if (this.#beneath === "half-open") this.#beneath = "open";
      this.#began(from, reason);
    }
    const lift = (): void => {
      if (!this.#isolations.delete(isolation) || this.#isolations.size > 0) return;
      // What was seen before says little by now.
      this.#window.clear();
      this.#began("isolated", "isolation lifted");
    };
    return { [Symbol.dispose]: lift };
  }

  reset(): void {
    this.#close("reset");
  }

  onStateChange(listener: (change: CircuitChange) => void): () => void {
    return this.#changed.add(listener);
  }

  #nowMs(): number {
    return this.#settings.clock.now().monoMs;
  }

  #startMs(): number | null {
    const isWanted = this.#settings.judge.slowCallMs < Infinity || this.#succeeded.any || this.#failed.any;
    return isWanted ? this.#nowMs() : null;
  }

  /** Lets a call through, or throws. Answers whether it is a probe, which now has its slot. */
  #admit(): boolean {
    const { state } = this;
    if (state === "closed") return false;
    const nowMs = this.#nowMs();
    if (state === "open" && nowMs >= this.#openUntilMs) {
      this.#trial = freshTrial();
      this.#move("half-open", "open time over");
      // A listener may have closed or isolated it.
      return this.#admit();
    }
    if (state !== "half-open" || !this.#hasRoom()) throw this.#refusal();
    this.#trial.inFlight += 1;
    this.#trial.endMs = nowMs + this.#settings.halfOpen.probeTimeoutMs;
    return true;
  }

  #hasRoom(): boolean {
    const { inFlight, succeeded, failed } = this.#trial;
    return inFlight + succeeded + failed < this.#settings.halfOpen.calls;
  }

  #refusal(): BrokenCircuitError {
    const { state, era, retryAfterMs } = this;
    this.#emit({ type: "rejected", circuit: this.#settings.name, key: this.#key, state, era, retryAfterMs });
    const details = { circuit: this.name, state, era, retryAfterMs };
    const [isolation] = this.#isolations;
    return isolation === undefined
      ? new BrokenCircuitError(details)
      : new IsolatedCircuitError(details, isolation.reason);
  }

  #probe<T>(fn: (context: PolicyContext) => PromiseLike<T> | T, signal: AbortSignal): Promise<T> {
    const { clock, halfOpen } = this.#settings;
    return probe(fn, { clock, timeoutMs: halfOpen.probeTimeoutMs, signal });
  }

  /**
   * A call that is told that its time is over has failed at that moment. It may ignore the signal and never end; a dependency
   * that hangs is the first thing a circuit is for.
   */
  #watch(call: Call, signal: AbortSignal): () => void {
    const judge = (): void => {
      if (isTimeout(signal.reason)) this.#settle(call, { error: signal.reason }, signal);
    };
    const watch = (): void => tell(judge, undefined);
    signal.addEventListener("abort", watch, { once: true });
    return () => signal.removeEventListener("abort", watch);
  }

  /** A call has ended: judges it, once. */
  #settle(call: Call, outcome: Failure, signal: AbortSignal): void {
    if (call.judged) return;
    call.judged = true;
    const { judge } = this.#settings;
    let verdict: Verdict = "excluded";
    try {
      verdict = "error" in outcome ? judge.ofError(outcome.error, signal) : judge.ofValue(outcome.value);
    } finally {
      // Also if a predicate of the caller's threw: the slot of a probe must be free again.
      this.#record(call, verdict);
    }
    if (call.startMs === null) return;
    const duration = this.#nowMs() - call.startMs;
    if ("value" in outcome && verdict === "success") this.#succeeded.tell({ duration });
    else this.#failed.tell({ duration, handled: verdict === "failure", reason: outcome });
  }

  #record({ era, startMs }: Call, verdict: Verdict): void {
    // Late: whatever the circuit has become meanwhile, it was not by this call's doing.
    if (era !== this.#era) return;
    const isProbe = this.#beneath === "half-open";
    if (isProbe) this.#trial.inFlight -= 1;
    if (verdict === "excluded") return;
    const nowMs = startMs !== null || this.#window.isTimed ? this.#nowMs() : 0;
    const failed = verdict === "failure";
    const slow = startMs !== null && nowMs - startMs >= this.#settings.judge.slowCallMs;
    if (isProbe) return this.#recordProbe(failed || slow);
    const trip = this.#window.record(failed, slow, nowMs);
    if (trip !== null) this.#open(trip);
  }

  #recordProbe(failed: boolean): void {
    const trial = this.#trial;
    const { calls, threshold } = this.#settings.halfOpen;
    if (failed) trial.failed += 1;
    else trial.succeeded += 1;
    if (trial.failed / calls > threshold) this.#open("probe failed");
    else if (trial.failed + trial.succeeded === calls) this.#close("probe succeeded");
  }

  #open(reason: string): void {
    const { openMs, random } = this.#settings;
    this.#openings += 1;
    this.#openMs = nextDelayMs(openMs, { retry: this.#openings, previousMs: this.#openMs, random });
    this.#openUntilMs = this.#nowMs() + this.#openMs;
    this.#move("open", reason);
  }

  #close(reason: string): void {
    this.#window.clear();
    this.#openings = 0;
    this.#openMs = 0;
    this.#move("closed", reason);
  }

  #move(beneath: Exclude<CircuitState, "isolated">, reason: string): void {
    const from = this.state;
    this.#beneath = beneath;
    this.#began(from, reason);
  }

  /** A new era: told to those who listen, unless what they see is the same as before. */
  #began(from: CircuitState, reason: string): void {
    this.#era += 1;
    const change: CircuitChange = { from, to: this.state, era: this.#era, reason };
    if (change.to === from) return;
    this.#emit({ type: "changed", circuit: this.#settings.name, key: this.#key, ...change });
    this.#changed.tell(change);
  }
}

function freshTrial(): Trial {
  return { inFlight: 0, succeeded: 0, failed: 0, endMs: 0 };
}
