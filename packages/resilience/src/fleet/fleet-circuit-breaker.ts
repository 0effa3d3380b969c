import { LeaseholdError, type Coordinator } from "@leasehold/core";

import { checkText } from "../base/arguments.ts";
import { neverAborts } from "../base/call-signal.ts";
import { eventSink, Listeners } from "../base/listeners.ts";
import type { FailureEvent, PolicyContext, PolicyEvent, SuccessEvent } from "../base/policy.ts";
import { BrokenCircuitError, IsolatedCircuitError } from "../circuit/broken-circuit-error.ts";
import type { CircuitChange, CircuitEvent, CircuitState } from "../circuit/circuit-breaker.ts";
import { JudgedCalls, type Admission } from "../circuit/judged-calls.ts";
import { LocalCircuitBreaker } from "../circuit/local-circuit-breaker.ts";
import type { Verdict } from "../circuit/verdict.ts";
import type {
  FleetEvent,
  GovernedBy,
  SharedCircuitBreaker,
  SharedCircuitBreakerOptions,
} from "./shared-circuit-breaker.ts";
import { SharedCircuit } from "./shared-circuit.ts";
import { readSharedOptions, type SharedCircuitSettings } from "./shared-circuit-settings.ts";

/**
 * Throws `INVALID_ARGUMENT`. Close the breaker, or its coordinator: it observes until then, and
 * that keeps the process alive.
 */
export function sharedCircuitBreaker(
  coordinator: Coordinator,
  options: SharedCircuitBreakerOptions,
): SharedCircuitBreaker {
  return new FleetCircuitBreaker(coordinator, readSharedOptions(coordinator, options));
}

/** One node's end of a shared circuit: admits each call by what is known at that moment. */
class FleetCircuitBreaker implements SharedCircuitBreaker {
  declare readonly _altReturn: never;
  readonly name: string;
  readonly node: string;
  readonly onSuccess: PolicyEvent<SuccessEvent>;
  readonly onFailure: PolicyEvent<FailureEvent>;

  readonly #calls: JudgedCalls;
  readonly #local: LocalCircuitBreaker;
  readonly #circuit: SharedCircuit;
  readonly #pollMs: number;
  readonly #changed = new Listeners<CircuitChange>();
  readonly #emit: (event: CircuitEvent | FleetEvent) => void;
  #era = 0;
  /** The state that was told last. */
  #told: CircuitState = "closed";

  constructor(coordinator: Coordinator, settings: SharedCircuitSettings) {
    const { name, node, pollMs, onEvent } = settings;
    this.name = name;
    this.node = node;
    this.#pollMs = pollMs;
    this.#emit = eventSink("leasehold:circuit", onEvent);
    this.#calls = new JudgedCalls(settings);
    this.onSuccess = this.#calls.succeeded.event;
    this.onFailure = this.#calls.failed.event;
    this.#local = new LocalCircuitBreaker(settings, undefined, this.#calls);
    this.#circuit = new SharedCircuit(coordinator, settings, this.#local, {
      emit: (event) => this.#emit({ ...event, circuit: name, node }),
      changed: (reason) => this.#tell(reason),
    });
  }

  get governedBy(): GovernedBy {
    const { orders, view } = this.#circuit;
    if (this.#local.state === "isolated" || orders.isolation !== null) return "isolation";
    return view.governs ? "shared" : "local";
  }

  get state(): CircuitState {
    switch (this.governedBy) {
      case "isolation":
        return "isolated";
      case "shared":
        return this.#circuit.view.word.state;
      case "local":
        return this.#local.state;
    }
  }

  get era(): number {
    return this.#era;
  }

  get retryAfterMs(): number {
    const { view, slot } = this.#circuit;
    switch (this.governedBy) {
      case "isolation":
        return Infinity;
      case "local":
        return this.#local.retryAfterMs;
      case "shared":
        if (slot.isFree) return 0;
        // Another node probes, or is about to: its verdict is known a little later.
        return view.openForMs > 0 ? view.openForMs : this.#pollMs;
    }
  }

  execute<T>(
    fn: (context: PolicyContext) => PromiseLike<T> | T,
    signal: AbortSignal = neverAborts,
  ): Promise<T> {
    const { orders, view } = this.#circuit;
    // While the local breaker is isolated, it refuses by itself.
    const isHere = this.#local.state === "isolated" || (orders.isolation === null && !view.governs);
    return isHere ? this.#local.execute(fn, signal) : this.#calls.run(fn, signal, this.#admit);
  }

  isolate(reason: string): Disposable {
    return this.#local.isolate(reason);
  }

  reset(): void {
    this.#era += 1;
    this.#local.reset();
  }

  onStateChange(listener: (change: CircuitChange) => void): () => void {
    return this.#changed.add(listener);
  }

  async isolateFleet(reason: string): Promise<AsyncDisposable> {
    this.#assertOpen();
    const here = this.#local.isolate(checkText("reason", reason));
    try {
      const order = await this.#circuit.orders.give({ kind: "isolate", reason });
      const lift = async (): Promise<void> => {
        here[Symbol.dispose]();
        await order[Symbol.asyncDispose]();
      };
      return { [Symbol.asyncDispose]: lift };
    } catch (error) {
      here[Symbol.dispose]();
      throw error;
    }
  }

  async resetFleet(): Promise<void> {
    this.#assertOpen();
    await this.#circuit.reset();
  }

  close(): Promise<void> {
    return this.#circuit.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Lets a call through as the fleet's probe; throws when it refuses. The call is its caller's
   * first: when the lease is lost under which it probes, it goes on, and only its verdict changes
   * nothing.
   */
  readonly #admit = (): Admission => {
    const { slot, orders } = this.#circuit;
    const pass = orders.isolation === null ? slot.take() : null;
    if (pass === null) throw this.#refusal();
    const { term } = pass;
    const settle = (verdict: Verdict, isSlow: boolean): Verdict => {
      // Too slow is no success, either.
      const found = verdict === "success" && isSlow ? "failure" : verdict;
      const { name: circuit, node } = this;
      if (!pass.handIn(found)) this.#emit({ type: "probed", circuit, node, outcome: "fenced", term });
      return found;
    };
    return { isProbe: true, settle };
  };

  #refusal(): BrokenCircuitError {
    const { state, era, retryAfterMs, name: circuit } = this;
    const { isolation } = this.#circuit.orders;
    this.#emit({ type: "rejected", circuit, state, era, retryAfterMs });
    const details = { circuit, state, era, retryAfterMs };
    if (isolation !== null) return new IsolatedCircuitError(details, isolation);
    this.#circuit.refused();
    return new BrokenCircuitError(details);
  }

  #assertOpen(): void {
    if (!this.#circuit.isClosed) return;
    throw new LeaseholdError("CLOSED", `The breaker of the circuit ${JSON.stringify(this.name)} is closed.`);
  }

  /** Tells the listeners what this breaker has become. Whatever may change that calls this. */
  #tell(reason: string): void {
    const [from, to] = [this.#told, this.state];
    if (from === to) return;
    this.#told = to;
    this.#era += 1;
    this.#changed.tell({ from, to, era: this.#era, reason });
  }
}
