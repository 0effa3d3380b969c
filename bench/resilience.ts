import { circuitBreaker, retry, type CallWindowOptions, type Policy } from "@leasehold/resilience";
import * as cockatiel from "cockatiel";
import { median } from "./measure.ts";

/** A retry around a circuit, as its user calls it. */
interface Contender {
  readonly name: string;
  readonly call: (fn: () => Promise<number>) => Promise<number>;
}

const rounds = 21;

/** Calls between two looks at the clock. */
const batch = 1_000;

function theirs(breaker: cockatiel.IBreaker): Contender {
  const { handleAll, ExponentialBackoff } = cockatiel;
  const policy = cockatiel.wrap(
    cockatiel.retry(handleAll, { maxAttempts: 3, backoff: new ExponentialBackoff() }),
    cockatiel.circuitBreaker(handleAll, { halfOpenAfter: 10_000, breaker }),
  );
  return { name: "cockatiel", call: (fn) => policy.execute(fn) };
}

/** Nested by hand, as in our guide, and wrapped by cockatiel, as its users have it. */
function ours(window: CallWindowOptions): Contender[] {
  const again = retry();
  const guard = circuitBreaker({ name: "bench", window });
  const wrapped: Policy = cockatiel.wrap(again, guard);
  return [
    { name: "ours", call: (fn) => again.execute(({ signal }) => guard.execute(fn, signal)) },
    { name: "ours, wrapped by cockatiel", call: (fn) => wrapped.execute(fn) },
  ];
}

/** Nanoseconds per call. */
async function measure({ call }: Contender, seconds: number): Promise<number> {
  const fn = (): Promise<number> => Promise.resolve(1);
  const startMs = performance.now();
  const endMs = startMs + seconds * 1_000;
  let calls = 0;
  let nowMs = startMs;
  for (; nowMs < endMs; nowMs = performance.now()) {
    for (let i = 0; i < batch; i += 1) await call(fn);
    calls += batch;
  }
  return ((nowMs - startMs) * 1e6) / calls;
}

/** In turns, so that other load meets all contenders. The first round only warms up. */
async function compare(what: string, contenders: readonly Contender[], seconds: number): Promise<void> {
  const slice = seconds / (contenders.length * (rounds + 1));
  const costs = contenders.map((): number[] => []);
  for (let round = 0; round <= rounds; round += 1)
    for (const [index, contender] of contenders.entries()) {
      const cost = await measure(contender, slice);
      if (round > 0) costs[index]?.push(cost);
    }
  const [floor = NaN, ...others] = costs.map(median);
  console.log(`${what}: ${contenders[0]?.name} ${floor.toFixed(0)} ns per call`);
  for (const [index, cost] of others.entries()) {
    const { name } = contenders[index + 1] ?? { name: "" };
    console.log(
      `  ${name.padEnd(28)} ${cost.toFixed(0).padStart(5)} ns   ratio ${(cost / floor).toFixed(2)}`,
    );
  }
}

/**
 * What a retry around a closed circuit costs on a promise that has resolved, beside cockatiel's own
 * in the same run. Prints nanoseconds per call, medians of alternating rounds, and the ratios.
 * Asserts nothing.
 */
export async function benchResilience(seconds: number): Promise<void> {
  console.log(`retry(circuitBreaker(fn)) on a resolved promise; medians of ${rounds} alternating rounds\n`);
  const { ConsecutiveBreaker, SamplingBreaker } = cockatiel;
  await compare(
    "5 failures in a row",
    [theirs(new ConsecutiveBreaker(5)), ...ours({ type: "consecutive", failures: 5 })],
    seconds / 2,
  );
  await compare(
    "failure rate over 30 s",
    [
      theirs(new SamplingBreaker({ threshold: 0.5, duration: 30_000, minimumRps: 1 })),
      ...ours({ type: "time", durationMs: 30_000 }),
    ],
    seconds / 2,
  );
}
