import {
  createCoordinator,
  systemRandom,
  type Backend,
  type Coordinator,
  type Inspection,
} from "@leasehold/core";
import { memoryBackend, MemoryStore } from "@leasehold/core/memory";
import { SimClock, withFaults, type Link } from "@leasehold/testing";

import { isBrokenCircuitError } from "../circuit/broken-circuit-error.ts";
import type { CircuitChange, CircuitEvent } from "../circuit/circuit-breaker.ts";
import { sharedCircuitBreaker } from "./fleet-circuit-breaker.ts";
import type {
  FleetEvent,
  SharedCircuitBreaker,
  SharedCircuitBreakerOptions,
} from "./shared-circuit-breaker.ts";

export type TestEvent = CircuitEvent | FleetEvent;

/** Opens after three failures in a row; jitter is always in the middle. */
export const testOptions: SharedCircuitBreakerOptions = {
  name: "payments",
  window: { type: "consecutive", failures: 3 },
  openMs: 2_000,
  halfOpen: { probeTimeoutMs: 1_500 },
  ttlMs: 3_000,
  random: { hex: (count) => systemRandom.hex(count), fraction: () => 0.5 },
};

/** One node of a test's fleet. Its link to the store can be cut. */
export class TestNode {
  readonly coordinator: Coordinator;
  readonly link: Link;
  readonly breaker: SharedCircuitBreaker;
  readonly events: TestEvent[] = [];
  readonly changes: CircuitChange[] = [];
  /** What it asked of the store: each call by its name. */
  readonly requests: string[];

  constructor(fleet: TestFleet, node: string, options: Partial<SharedCircuitBreakerOptions>) {
    const { backend, link } = withFaults(memoryBackend({ store: fleet.store }));
    const counting = counted(backend);
    this.requests = counting.requests;
    this.link = link;
    this.coordinator = createCoordinator({ backend: counting.backend, ttlMs: 3_000 });
    this.breaker = sharedCircuitBreaker(this.coordinator, {
      ...testOptions,
      node,
      clock: fleet.clock,
      onEvent: (event) => this.events.push(event),
      ...options,
    });
    this.breaker.onStateChange((change) => this.changes.push(change));
  }

  /** Makes one call. Returns how it ended. */
  async call(act: "ok" | "fails" = "ok"): Promise<"ok" | "failed" | "rejected"> {
    const work = (): string => {
      if (act === "fails") throw new Error("the dependency fails");
      return "ok";
    };
    try {
      await this.breaker.execute(work);
      return "ok";
    } catch (error) {
      return isBrokenCircuitError(error) ? "rejected" : "failed";
    }
  }

  /** A call that is under way until the test ends it. */
  begin(): {
    readonly succeed: () => void;
    readonly fail: () => void;
    readonly ended: Promise<string>;
    isSent: boolean;
  } {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const call = {
      succeed: (): void => resolve("ok"),
      fail: (): void => reject(new Error("the dependency fails")),
      isSent: false,
      ended: Promise.resolve(""),
    };
    const work = (): Promise<string> => {
      call.isSent = true;
      return promise;
    };
    call.ended = this.breaker.execute(work).catch((error: unknown) => {
      return isBrokenCircuitError(error) ? "rejected" : String((error as Error).message);
    });
    return call;
  }

  /** Opens its own breaker. */
  async trip(): Promise<void> {
    for (let failure = 0; failure < 3; failure++) await this.call("fails");
  }

  all<Type extends TestEvent["type"]>(type: Type): Extract<TestEvent, { type: Type }>[] {
    return this.events.filter((event): event is Extract<TestEvent, { type: Type }> => event.type === type);
  }
}

/** Several nodes in one process, on one store and one simulated clock. */
export class TestFleet {
  readonly clock: SimClock = new SimClock();
  readonly store: MemoryStore = new MemoryStore({ clock: this.clock });
  readonly nodes: TestNode[] = [];
  readonly #onlooker: Coordinator = createCoordinator({ backend: memoryBackend({ store: this.store }) });

  add(node: string, options: Partial<SharedCircuitBreakerOptions> = {}): TestNode {
    const added = new TestNode(this, node, options);
    this.nodes.push(added);
    return added;
  }

  /** Adds nodes a, b, c, …. Resolves when all of them have looked once. */
  async open(count: number, options: Partial<SharedCircuitBreakerOptions> = {}): Promise<TestNode[]> {
    const names = Array.from({ length: count }, (_, index) => String.fromCharCode(97 + index));
    const nodes = names.map((name) => this.add(name, options));
    await this.clock.advance(10);
    return nodes;
  }

  /** As `open`; then `a` and `b` open the circuit for all. */
  async opened(count: number): Promise<[TestNode, TestNode, ...TestNode[]]> {
    const nodes = (await this.open(count)) as [TestNode, TestNode, ...TestNode[]];
    await nodes[0].trip();
    await nodes[1].trip();
    await this.untilOpen();
    return nodes;
  }

  /** What each node's breaker says now. */
  get states(): string[] {
    return this.nodes.map(({ breaker }) => breaker.state);
  }

  line(): Promise<Inspection> {
    return this.#onlooker.inspect("circuit:payments", { recipe: "election" });
  }

  /** The nodes in line, the leader first. */
  async standing(): Promise<string[]> {
    const { holders, line } = await this.line();
    return [...holders, ...line].map(({ origin }) => origin?.candidate ?? "?");
  }

  /** Lets time pass in small steps until `condition` holds. Returns how many ms it took. */
  async until(what: string, condition: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<number> {
    for (let passedMs = 0; passedMs <= withinMs; passedMs += 50) {
      if (await condition()) return passedMs;
      await this.clock.advance(50);
    }
    throw new Error(`${what}: not within ${withinMs} ms; ${this.states.join(", ")}`);
  }

  /** Until the circuit is open for all: a node's own breaker alone does not make it so. */
  async untilOpen(withinMs?: number): Promise<number> {
    const isOpen = ({ breaker }: TestNode): boolean =>
      breaker.state === "open" && breaker.governedBy === "shared";
    return this.until("open for all", () => this.nodes.every(isOpen), withinMs);
  }

  async untilAll(state: string, withinMs?: number): Promise<number> {
    return this.until(state, () => this.states.every((each) => each === state), withinMs);
  }

  /** Closes all coordinators. Throws when a timer is left. */
  async close(): Promise<void> {
    const coordinators = [this.#onlooker, ...this.nodes.map(({ coordinator }) => coordinator)];
    const closed = Promise.all(coordinators.map((coordinator) => coordinator.close()));
    await this.clock.advance(10_000);
    await closed;
    if (this.clock.pending > 0) throw new Error(`${this.clock.pending} timers are left`);
  }
}

function counted(backend: Backend): { backend: Backend; requests: string[] } {
  const requests: string[] = [];
  const leases = Object.fromEntries(
    Object.entries(backend.leases).map(([name, call]: [string, (...args: never[]) => unknown]) => {
      const counting = (...args: never[]): unknown => {
        requests.push(name);
        return call(...args);
      };
      return [name, counting];
    }),
  ) as unknown as Backend["leases"];
  return {
    backend: { ...backend, leases, [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose]() },
    requests,
  };
}
