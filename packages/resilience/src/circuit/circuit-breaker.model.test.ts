import { SimClock } from "@leasehold/testing";
import fc from "fast-check";
import { expect, it } from "vitest";

import { isBrokenCircuitError } from "./broken-circuit-error.ts";
import type { CircuitState } from "./circuit-breaker.ts";
import { circuitBreaker } from "./local-circuit-breaker.ts";

const failuresToOpen = 3;
const openMs = 1_000;
const probeTimeoutMs = 700;

interface Shape {
  readonly calls: number;
  readonly threshold: number;
}

type Ending = "success" | "failure" | "excluded";

/** A call that the circuit let through, as the model and the test know it. */
interface Call {
  readonly era: number;
  readonly isProbe: boolean;
  readonly sinceMs: number;
  readonly end: (how: Ending) => void;
  readonly aborter: AbortController;
  over: boolean;
}

/** A second, independent and plain definition of what a circuit does. */
class Model {
  readonly #shape: Shape;
  nowMs = 0;
  era = 0;
  beneath: Exclude<CircuitState, "isolated"> = "closed";
  isolations = 0;
  inRow = 0;
  openUntilMs = 0;
  failed = 0;
  succeeded = 0;
  calls: Call[] = [];

  constructor(shape: Shape) {
    this.#shape = shape;
  }

  get state(): CircuitState {
    return this.isolations > 0 ? "isolated" : this.beneath;
  }

  get probes(): Call[] {
    return this.calls.filter(({ isProbe, era, over }) => isProbe && era === this.era && !over);
  }

  hasRoom(): boolean {
    return this.probes.length + this.failed + this.succeeded < this.#shape.calls;
  }

  move(beneath: "closed" | "open" | "half-open"): void {
    this.era += 1;
    this.beneath = beneath;
    [this.inRow, this.failed, this.succeeded] = [0, 0, 0];
    if (beneath === "open") this.openUntilMs = this.nowMs + openMs;
  }

  /** Whether a call goes through. */
  admits(): boolean {
    if (this.state === "open" && this.nowMs >= this.openUntilMs) this.move("half-open");
    return this.state === "closed" || (this.state === "half-open" && this.hasRoom());
  }

  end(call: Call, how: Ending): void {
    if (call.over) return;
    call.over = true;
    if (call.era !== this.era || how === "excluded") return;
    if (!call.isProbe) {
      this.inRow = how === "failure" ? this.inRow + 1 : 0;
      if (this.inRow === failuresToOpen) this.move("open");
      return;
    }
    if (how === "failure") this.failed += 1;
    else this.succeeded += 1;
    const { calls, threshold } = this.#shape;
    if (this.failed > threshold * calls) this.move("open");
    else if (this.failed + this.succeeded === calls) this.move("closed");
  }

  /** Probes that hang fail at their time limit, in the order in which they began. */
  advance(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (const call of this.calls) {
      if (!call.isProbe || call.over || call.sinceMs + probeTimeoutMs > untilMs) continue;
      this.nowMs = call.sinceMs + probeTimeoutMs;
      this.end(call, call.aborter.signal.aborted ? "excluded" : "failure");
    }
    this.nowMs = untilMs;
  }

  isolate(): void {
    this.isolations += 1;
    if (this.isolations > 1) return;
    this.era += 1;
    if (this.beneath === "half-open") this.beneath = "open";
  }

  lift(): void {
    this.isolations -= 1;
    if (this.isolations > 0) return;
    this.era += 1;
    this.inRow = 0;
  }
}

type Step =
  | { readonly do: "call" | "isolate" | "lift" | "reset" }
  | { readonly do: "end"; readonly which: number; readonly how: Ending }
  | { readonly do: "abort"; readonly which: number }
  | { readonly do: "advance"; readonly ms: number };

const which = fc.nat(20);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("call" as const) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("end" as const),
      which,
      how: fc.constantFrom<Ending>("failure", "failure", "failure", "success", "success", "excluded"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("abort" as const), which }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("advance" as const),
      ms: fc.constantFrom(1, 300, 699, 700, 1_000, 1_000, 5_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom("isolate" as const, "lift" as const, "reset" as const) }),
  },
);

it(
  "whatever happens in whatever order, the circuit is what the model says",
  { timeout: 60_000 },
  async () => {
    const shapes = fc.constantFrom<Shape>(
      { calls: 1, threshold: 0 },
      { calls: 3, threshold: 0 },
      { calls: 4, threshold: 0.25 },
    );
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(shapes, fc.array(step, { minLength: 60, maxLength: 120 }), async (shape, steps) => {
        const clock = new SimClock();
        const excluded = new Error("excluded");
        const failure = new Error("failure");
        const breaker = circuitBreaker({
          name: "model",
          window: { type: "consecutive", failures: failuresToOpen },
          openMs,
          halfOpen: { ...shape, probeTimeoutMs },
          excludeIf: (error) => error === excluded,
          clock,
        });
        const model = new Model(shape);
        const isolations: Disposable[] = [];
        const open = (): Call[] => model.calls.filter(({ over }) => !over);

        const call = async (): Promise<void> => {
          const before = model.state;
          const isExpected = model.admits();
          let isSent = false;
          const { promise, resolve, reject } = Promise.withResolvers<void>();
          const aborter = new AbortController();
          const ended = breaker
            .execute(() => {
              isSent = true;
              return promise;
            }, aborter.signal)
            .catch((error: unknown) => error);
          expect(isSent).toBe(isExpected);
          expect(isSent || isBrokenCircuitError(await ended)).toBe(true);
          if (!isSent) {
            seen.add(`refused while ${model.state}`);
            return;
          }
          // Independent of the model: no call passes while it is isolated, or open and not due.
          expect(before).not.toBe("isolated");
          expect(breaker.state).not.toBe("open");
          const end = (how: Ending): void => {
            if (how === "success") resolve();
            else reject(how === "failure" ? failure : excluded);
          };
          const isProbe = model.state === "half-open";
          const { era, nowMs: sinceMs } = model;
          model.calls.push({ era, isProbe, sinceMs, end, aborter, over: false });
        };

        for (const what of steps) {
          let broken: string | null = null;
          switch (what.do) {
            case "call":
              await call();
              break;
            case "end": {
              const ending = open()[what.which % Math.max(1, open().length)];
              if (ending === undefined) break;
              const before = [breaker.state, breaker.era];
              ending.end(what.how);
              await clock.advance(0);
              const isStale = ending.era !== before[1];
              if (isStale && (breaker.state !== before[0] || breaker.era !== before[1]))
                broken = "a stale result changed something";
              if (isStale) seen.add(`stale ${what.how} while ${breaker.state}`);
              model.end(
                ending,
                ending.aborter.signal.aborted && what.how === "failure" ? "excluded" : what.how,
              );
              break;
            }
            case "abort":
              open()[what.which % Math.max(1, open().length)]?.aborter.abort();
              break;
            case "advance": {
              const hanging = model.probes.length;
              await clock.advance(what.ms);
              model.advance(what.ms);
              const hung = hanging > 0 && what.ms >= probeTimeoutMs;
              if (hung && breaker.state === "half-open" && breaker.retryAfterMs > 0)
                broken = "a hung probe kept its slot";
              if (hung) seen.add("a probe hung");
              break;
            }
            case "isolate":
              isolations.push(breaker.isolate("by hand"));
              model.isolate();
              break;
            case "lift": {
              const isolation = isolations.pop();
              if (isolation === undefined) break;
              isolation[Symbol.dispose]();
              model.lift();
              break;
            }
            case "reset":
              breaker.reset();
              model.move("closed");
              break;
          }
          expect(broken).toBe(null);
          expect([breaker.state, breaker.era]).toEqual([model.state, model.era]);
          expect(model.probes.length).toBeLessThanOrEqual(shape.calls);
          // The timers of the probes that run, and nothing else.
          expect(clock.pending).toBe(open().filter(({ isProbe }) => isProbe).length);
          seen.add(breaker.state);
        }
      }),
      { numRuns: 1_000 },
    );
    // A search that never reached these states would prove nothing.
    for (const what of [
      "closed",
      "open",
      "half-open",
      "isolated",
      "refused while open",
      "refused while half-open",
      "refused while isolated",
      "stale success while half-open",
      "stale failure while half-open",
      "stale failure while closed",
      "a probe hung",
    ])
      expect(seen).toContain(what);
  },
);
