import assert from "node:assert/strict";

import fc from "fast-check";
import { it } from "vitest";

import { TestFleet, type TestNode } from "./test-fleet.ts";

/** What a test does to a fleet of four. */
type Step =
  | { readonly do: "advance"; readonly ms: number }
  | { readonly do: "call"; readonly node: number; readonly end: "ok" | "fails" | "hangs" }
  | { readonly do: "end"; readonly call: number; readonly well: boolean }
  | { readonly do: "trip" | "cut" | "hold" | "heal" | "deafen" | "isolate"; readonly node: number }
  | { readonly do: "flush" | "evict" };

const node = fc.nat(3);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("advance" as const), ms: fc.integer({ min: 1, max: 2_500 }) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("call" as const),
      node,
      end: fc.constantFrom(
        "ok" as const,
        "fails" as const,
        "fails" as const,
        "fails" as const,
        "hangs" as const,
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("end" as const), call: fc.nat(20), well: fc.boolean() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom("cut" as const, "hold" as const, "deafen" as const, "isolate" as const),
      node,
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("heal" as const, "trip" as const), node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("flush" as const, "evict" as const) }) },
);

interface Sent {
  readonly node: TestNode;
  readonly isProbe: boolean;
  /**
   * Whether it must be the fleet's only probe: its node has been in contact with the store since
   * the probe began.
   */
  inContact: boolean;
  isOver: boolean;
  readonly succeed: () => void;
  readonly fail: () => void;
}

let probes = 0;

class Run {
  readonly fleet = new TestFleet();
  readonly #sent: Sent[] = [];
  readonly #isolations: Disposable[] = [];
  readonly #cut = new Set<TestNode>();
  #believedUntilMs = -1;

  async play(steps: readonly Step[]): Promise<void> {
    const [a, b] = await this.fleet.open(4);
    for (const each of [a, b]) await each?.trip();
    await this.fleet.clock.advance(1_000);
    for (const each of steps) {
      await this.#step(each);
      await this.fleet.clock.advance(0);
    }
    await this.#heal();
    await this.#converges();
    await this.fleet.close();
  }

  async #step(each: Step): Promise<void> {
    const { nodes, clock, store } = this.fleet;
    switch (each.do) {
      case "advance":
        return clock.advance(each.ms);
      case "call":
        return this.#call(nodes[each.node]!, each.end);
      case "end": {
        const call = this.#sent[each.call];
        if (each.well) call?.succeed();
        else call?.fail();
        return;
      }
      case "trip":
        return nodes[each.node]!.trip();
      case "flush":
        this.#forget();
        return store.flush();
      case "evict": {
        this.#forget();
        const owner = store.inspect("default:election:circuit:payments").holders[0]?.owner;
        const resource = { name: "default:election:circuit:payments", announce: true };
        store.release({ resource, owner: owner ?? "", timeoutMs: 0 });
        return;
      }
      case "isolate":
        if (this.#isolations.length > 0) this.#isolations.pop()?.[Symbol.dispose]();
        else this.#isolations.push(nodes[each.node]!.breaker.isolate("by the test"));
        return;
      case "heal":
        this.#cut.delete(nodes[each.node]!);
        return nodes[each.node]!.link.heal();
      case "deafen":
        return nodes[each.node]!.link.dropPushes?.();
      case "cut":
      case "hold":
        this.#sent.forEach((call) => (call.inContact &&= call.node !== nodes[each.node]));
        this.#cut.add(nodes[each.node]!);
        return each.do === "cut" ? nodes[each.node]!.link.cut() : nodes[each.node]!.link.holdRequests();
    }
  }

  #call(caller: TestNode, end: "ok" | "fails" | "hangs"): void {
    const { state, governedBy } = caller.breaker;
    const call = caller.begin();
    if (governedBy === "isolation" || (governedBy === "shared" && state === "open"))
      assert.ok(!call.isSent, `sent while ${state}, by the word of ${governedBy}`);
    if (!call.isSent) return;
    const isProbe = governedBy === "shared";
    if (isProbe) {
      const running = this.#sent.filter((sent) => sent.isProbe && !sent.isOver && sent.inContact);
      assert.deepEqual(
        running.map((sent) => sent.node.breaker.node),
        [],
        "a probe beside another",
      );
      probes += 1;
    }
    const inContact = !this.#cut.has(caller) && this.fleet.clock.now().monoMs > this.#believedUntilMs;
    const sent: Sent = { node: caller, isProbe, inContact, isOver: false, ...call };
    this.#sent.push(sent);
    void call.ended.then(() => (sent.isOver = true));
    if (end === "ok") call.succeed();
    if (end === "fails") call.fail();
  }

  /**
   * The store has lost a leader, which believes in its lease for up to a ttl longer: its probe does
   * not count as the fleet's.
   */
  #forget(): void {
    for (const call of this.#sent) call.inContact = false;
    this.#believedUntilMs = this.fleet.clock.now().monoMs + 3_000;
  }

  async #heal(): Promise<void> {
    for (const each of this.fleet.nodes) await each.link.heal();
    for (const isolation of this.#isolations) isolation[Symbol.dispose]();
    for (const call of this.#sent) call.succeed();
    await this.fleet.clock.advance(0);
  }

  /**
   * The dependency is well, and every node has calls: soon the circuit is closed everywhere, and no
   * node stands in line.
   */
  async #converges(): Promise<void> {
    const isQuiet = async (): Promise<boolean> => {
      for (const each of this.fleet.nodes) await each.call("ok");
      return (
        this.fleet.states.every((state) => state === "closed") && (await this.fleet.standing()).length === 0
      );
    };
    await this.fleet.until("all is well", isQuiet, 30_000);
    await this.fleet.clock.advance(6_000);
    for (const { events, breaker } of this.fleet.nodes) {
      const told = { degraded: 0, restored: 0 };
      for (const { type } of events) if (type === "degraded" || type === "restored") told[type] += 1;
      assert.equal(told.degraded, told.restored, `outages that ${breaker.node} told the end of`);
    }
  }
}

it("under any faults no call passes an open circuit, probes run one at a time, and it closes at last", async () => {
  const property = fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 80, size: "max" }), (steps) =>
    new Run().play(steps),
  );
  await fc.assert(property, { numRuns: 60 });
  // A run without these would prove nothing.
  assert.ok(probes > 10, `${probes} probes in all`);
}, 60_000);
