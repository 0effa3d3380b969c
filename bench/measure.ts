import { setTimeout as sleep } from "node:timers/promises";

/** One way to do it: the store's bare primitives, or the lock. */
export interface Contender {
  readonly name: string;
  /** Takes and gives back a name that nobody else uses. */
  pair(name: string): Promise<unknown>;
  /** Workers that hand one thing around. */
  readonly workers: readonly Worker[];
}

export interface Worker {
  /** Waits for the thing; answers how to give it back. */
  take(): Promise<() => Promise<unknown>>;
}

/** What both run on. */
export interface Course {
  readonly floor: Contender;
  readonly ours: Contender;
  /** CPU time that the server has used so far, in seconds, where it can be asked. */
  serverSeconds?(): Promise<number>;
  close(): Promise<void>;
}

export interface Throughput {
  /** Pairs per second. */
  readonly rate: number;
  readonly pairs: number;
}

/** So many in flight, each on a name of its own. */
export async function throughput(
  contender: Contender,
  inFlight: number,
  seconds: number,
): Promise<Throughput> {
  let pairs = 0;
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  const run = async (index: number): Promise<void> => {
    const name = `bench-${index}`;
    while (performance.now() < endMs) {
      await contender.pair(name);
      pairs += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, index) => run(index)));
  return { pairs, rate: (pairs * 1000) / (performance.now() - startMs) };
}

export interface HandOvers {
  /** From the moment of giving back to the moment of having, in milliseconds. */
  readonly latenciesMs: readonly number[];
  /** How often each worker had it. */
  readonly turns: readonly number[];
}

/**
 * How long a worker keeps it: long enough for the last one to be in line again, so that no joining
 * is measured.
 */
const holdMs = 3;

/** Lets all workers of a contender hand it around for so long. */
export async function handOvers({ workers }: Contender, seconds: number): Promise<HandOvers> {
  const latenciesMs: number[] = [];
  const turns = workers.map(() => 0);
  const endMs = performance.now() + seconds * 1000;
  let givenAtMs: number | undefined;
  const run = async (worker: Worker, index: number): Promise<void> => {
    for (;;) {
      const give = await worker.take();
      const nowMs = performance.now();
      // The last round only lets everybody out: who holds it gives it on, and does not queue again.
      const over = nowMs > endMs;
      if (!over) {
        if (givenAtMs !== undefined) latenciesMs.push(nowMs - givenAtMs);
        turns[index] = (turns[index] ?? 0) + 1;
        await sleep(holdMs);
      }
      givenAtMs = performance.now();
      await give();
      if (over) return;
    }
  };
  await Promise.all(workers.map(run));
  return { latenciesMs, turns };
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** The value below which this share of them lies; NaN for none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

/** Jain's index: 1 when all had as much, 1/n when one had everything. */
export function jain(values: readonly number[]): number {
  const sum = values.reduce((a, b) => a + b, 0);
  const squares = values.reduce((a, b) => a + b * b, 0);
  return sum ** 2 / (values.length * squares);
}
