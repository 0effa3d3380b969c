import { LeaseholdError, type Coordinator } from "@leasehold/core";

import { checkFunction, checkSignal, checkText } from "../base/arguments.ts";
import { BrokenCircuitError, IsolatedCircuitError } from "../circuit/broken-circuit-error.ts";
import type { CircuitChange, CircuitState } from "../circuit/circuit-breaker.ts";
import type { CircuitEvent } from "../base/events.ts";
import { eventSink, Listeners } from "../base/listeners.ts";
import { LocalCircuitBreaker } from "../circuit/local-circuit-breaker.ts";
import { neverAborts } from "../base/never-aborts.ts";
import type { FailureEvent, PolicyContext, PolicyEvent, SuccessEvent } from "../base/policy.ts";
import type { FleetEvent } from "./fleet-event.ts";
import { FleetProbe } from "./fleet-probe.ts";
import type { GovernedBy, SharedCircuitBreaker } from "./shared-circuit-breaker.ts";
import { SharedCircuit } from "./shared-circuit.ts";
import type { SharedCircuitSettings } from "./shared-circuit-options.ts";

/** One node's end of a shared circuit, for those who make calls: admits each by what is known at that moment. */
export class FleetCircuitBreaker implements SharedCircuitBreaker {
  declare readonly _altReturn: never;
  readonly name: string;
  readonly node: string;
  readonly onSuccess: PolicyEvent<SuccessEvent>;
  readonly onFailure: PolicyEvent<FailureEvent>;

  readonly #local: LocalCircuitBreaker;
  readonly #circuit: SharedCircuit;
  readonly #probe: FleetProbe;
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
    this.#local = new LocalCircuitBreaker(settings);
    this.#probe = new FleetProbe(settings, (term) =>
      this.#emit({ type: "probed", circuit: name, node, outcome: "fenced", term }),
    );
    this.onSuccess = both(this.#local.onSuccess, this.#probe.succeeded.event);
    this.onFailure = both(this.#local.onFailure, this.#probe.failed.event);
    this.#circuit = new SharedCircuit(coordinator, settings, this.#local, {
      emit: (event) => this.#emit({ ...event, circuit: name, node }),
      changed: (reason) => this.#tell(reason),
    });
    this.#circuit.start();
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
        // Somebody probes, or is about to: what comes of it is known a little later.
        return view.openForMs > 0 ? view.openForMs : this.#pollMs;
    }
  }

  execute<T>(
    fn: (context: PolicyContext) => PromiseLike<T> | T,
    signal: AbortSignal = neverAborts,
  ): Promise<T> {
    const { orders, view } = this.#circuit;
    // While it is isolated here, the local breaker refuses by itself.
    const isHere = this.#local.state === "isolated" || (orders.isolation === null && !view.governs);
    return isHere ? this.#local.execute(fn, signal) : this.#executeShared(fn, signal);
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

  async #executeShared<T>(
    fn: (context: PolicyContext) => PromiseLike<T> | T,
    signal: AbortSignal,
  ): Promise<T> {
    checkFunction("fn", fn);
    if (signal !== neverAborts) checkSignal(signal).throwIfAborted();
    const { slot, orders } = this.#circuit;
    const pass = orders.isolation === null ? slot.take() : null;
    if (pass === null) throw this.#refusal();
    return this.#probe.run(fn, signal, pass);
  }

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
    if (this.#circuit.isClosed)
      throw new LeaseholdError(
        "CLOSED",
        `The breaker of the circuit ${JSON.stringify(this.name)} is closed.`,
      );
  }

  /** Tells what this breaker has become, if that is anything new: all that may change it ends here. */
  #tell(reason: string): void {
    const [from, to] = [this.#told, this.state];
    if (from === to) return;
    this.#told = to;
    this.#era += 1;
    this.#changed.tell({ from, to, era: this.#era, reason });
  }
}

/** Listens to both, as one. */
function both<T>(one: PolicyEvent<T>, other: PolicyEvent<T>): PolicyEvent<T> {
  return (listener) => {
    const entries = [one(listener), other(listener)];
    return { dispose: () => entries.forEach((entry) => entry.dispose()) };
  };
}
