import { checkText } from "../base/arguments.ts";
import { neverAborts } from "../base/call-signal.ts";
import { eventSink, Listeners } from "../base/listeners.ts";
import type { FailureEvent, PolicyContext, PolicyEvent, SuccessEvent } from "../base/policy.ts";
import { nextDelayMs } from "../retry/backoff.ts";
import { BrokenCircuitError, IsolatedCircuitError } from "./broken-circuit-error.ts";
import type { CallWindow } from "./call-window.ts";
import type {
  CircuitBreaker,
  CircuitBreakerOptions,
  CircuitChange,
  CircuitEvent,
  CircuitState,
} from "./circuit-breaker.ts";
import { readCircuitOptions, type CircuitSettings } from "./circuit-settings.ts";
import { JudgedCalls, type Admission } from "./judged-calls.ts";
import type { Verdict } from "./verdict.ts";

/** Throws `INVALID_ARGUMENT`. */
export function circuitBreaker(options: CircuitBreakerOptions): CircuitBreaker {
  return new LocalCircuitBreaker(readCircuitOptions(options));
}

type StateBeneath = Exclude<CircuitState, "isolated">;

/** What a half-open circuit has let through. */
interface Trial {
  inFlight: number;
  succeeded: number;
  failed: number;
  /** When the last probe ends at the latest. */
  endMs: number;
}

const freshTrial = (): Trial => ({ inFlight: 0, succeeded: 0, failed: 0, endMs: 0 });

/**
 * One circuit of one process.
 *
 *     closed ──(the window trips)──────────────> open
 *     open ────(its time is over, a call comes)─> half-open
 *     half-open ──(enough probes succeeded)────> closed
 *     half-open ──(too many probes failed)─────> open, for longer
 *
 * `isolated` lies over this: the state beneath shows again when the last isolation is lifted. There
 * is no timer but that of a running probe: a call that comes looks at the clock.
 */
export class LocalCircuitBreaker implements CircuitBreaker {
  declare readonly _altReturn: never;
  readonly name: string;
  readonly onSuccess: PolicyEvent<SuccessEvent>;
  readonly onFailure: PolicyEvent<FailureEvent>;

  readonly #settings: CircuitSettings;
  readonly #key: string | undefined;
  readonly #calls: JudgedCalls;
  readonly #window: CallWindow;
  readonly #changed = new Listeners<CircuitChange>();
  readonly #emit: (event: CircuitEvent) => void;
  /** Why the circuit is held open, in the order of the isolations. */
  readonly #isolations = new Set<{ readonly reason: string }>();

  #era = 0;
  /** The state that the circuit would be in if nobody isolated it. */
  #beneath: StateBeneath = "closed";
  #openUntilMs = 0;
  /** How often it opened since it last closed, and for how long the last time. */
  #openings = 0;
  #openMs = 0;
  #trial: Trial = freshTrial();

  constructor(settings: CircuitSettings, key?: string, calls: JudgedCalls = new JudgedCalls(settings)) {
    this.#settings = settings;
    this.#key = key;
    this.name = key === undefined ? settings.name : `${settings.name}:${key}`;
    this.#calls = calls;
    this.onSuccess = calls.succeeded.event;
    this.onFailure = calls.failed.event;
    this.#window = settings.createWindow();
    this.#emit = eventSink("leasehold:circuit", settings.onEvent);
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

  execute<T>(
    fn: (context: PolicyContext) => PromiseLike<T> | T,
    signal: AbortSignal = neverAborts,
  ): Promise<T> {
    return this.#calls.run(fn, signal, this.#admit);
  }

  isolate(reason: string): Disposable {
    const isolation = { reason: checkText("reason", reason) };
    const from = this.state;
    this.#isolations.add(isolation);
    if (from !== "isolated") {
      // Probes under way are of an era that is over, and free no slot. New ones may follow.
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

  /** Lets a call through, as a probe if the circuit is half-open; throws when it refuses. */
  readonly #admit = (): Admission => {
    const { state } = this;
    if (state !== "closed") {
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
    }
    const era = this.#era;
    const settle: Admission["settle"] = (verdict, isSlow, endMs) => {
      // Late: whatever the circuit has become meanwhile, this call did not do it.
      if (era === this.#era) this.#record(verdict, isSlow, endMs);
      return verdict;
    };
    return { isProbe: state === "half-open", settle };
  };

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

  #record(verdict: Verdict, isSlow: boolean, endMs: number | null): void {
    const isProbe = this.#beneath === "half-open";
    if (isProbe) this.#trial.inFlight -= 1;
    if (verdict === "excluded") return;
    const failed = verdict === "failure";
    if (isProbe) return this.#recordProbe(failed || isSlow);
    const trip = this.#window.record(failed, isSlow, endMs ?? (this.#window.isTimed ? this.#nowMs() : 0));
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

  #move(beneath: StateBeneath, reason: string): void {
    const from = this.state;
    this.#beneath = beneath;
    this.#began(from, reason);
  }

  /** A new era. The listeners are told, unless the state that they see is the same as before. */
  #began(from: CircuitState, reason: string): void {
    this.#era += 1;
    const change: CircuitChange = { from, to: this.state, era: this.#era, reason };
    if (change.to === from) return;
    this.#emit({ type: "changed", circuit: this.#settings.name, key: this.#key, ...change });
    this.#changed.tell(change);
  }
}
