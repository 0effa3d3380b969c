import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { startEtcd, startRedis } from "../test/servers/index.ts";
import { handOvers, jain, median, percentile, throughput, type Contender, type Course } from "./measure.ts";
import { benchMemory } from "./memory.ts";
import { workerCount } from "./our-lock.ts";
import { benchResilience } from "./resilience.ts";

const usage = `Measures the lock beside the bare primitives of its store, in the same run. Prints, and asserts nothing.

  ./pnpmw bench [--backend redis|etcd|memory] [--seconds N] [--url URL]
  ./pnpmw bench resilience [--seconds N]     a retry around a circuit breaker, beside cockatiel's own
  ./pnpmw bench memory [--url URL]           what names, locks and records cost a Redis, in bytes

  --backend  default: redis
  --seconds  about how long all of it takes; default 20
  --url      redis://host:port, or http://host:port of an etcd; default: a server is started, as for the tests
  --help     this text`;

const roundsEach = 5;

const benchmarks = ["lock", "resilience", "memory"] as const;

interface Options {
  readonly what: (typeof benchmarks)[number];
  readonly backend: string;
  readonly seconds: number;
  readonly url?: string;
  readonly help: boolean;
}

function readOptions(): Options {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      backend: { type: "string", default: "redis" },
      seconds: { type: "string", default: "20" },
      url: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const seconds = Number(values.seconds);
  if (!(seconds > 0)) throw new Error(`--seconds must be a number above 0; got "${values.seconds}".`);
  const [asked = "lock", ...others] = positionals;
  const what = benchmarks.find((known) => known === asked);
  if (what === undefined || others.length > 0)
    throw new Error(`There is no benchmark "${positionals.join(" ")}"; see --help.`);
  return { ...values, what, seconds };
}

async function openCourse(backend: string, url?: string): Promise<Course> {
  const run = `leasehold-bench-${randomBytes(4).toString("hex")}`;
  switch (backend) {
    case "memory":
      return (await import("./memory-course.ts")).memoryCourse(run);
    case "redis": {
      const { redisCourse } = await import("./redis-course.ts");
      if (url !== undefined) return redisCourse(url, run);
      const server = await startRedis();
      return stopAfter(await redisCourse(server.url, run), server);
    }
    case "etcd": {
      const { etcdCourse } = await import("./etcd-course.ts");
      if (url !== undefined) return etcdCourse(url, run);
      const server = await startEtcd();
      return stopAfter(await etcdCourse(server.hosts.join(","), run), server);
    }
    default:
      throw new Error(`--backend may be redis, etcd, memory; got "${backend}".`);
  }
}

async function withRedis(url: string | undefined, bench: (url: string) => Promise<void>): Promise<void> {
  if (url !== undefined) return bench(url);
  const server = await startRedis();
  try {
    await bench(server.url);
  } finally {
    await server.stop();
  }
}

function stopAfter(course: Course, server: { stop(): Promise<void> }): Course {
  const close = async (): Promise<void> => {
    try {
      await course.close();
    } finally {
      await server.stop();
    }
  };
  return { ...course, close };
}

/**
 * Floor and lock by turns, so that what the machine does meanwhile meets both; the ratio is that of
 * the medians.
 */
async function compareThroughput(course: Course, inFlight: number, seconds: number): Promise<void> {
  const slice = seconds / (2 * roundsEach + 1);
  const measured = { floor: new Samples(), ours: new Samples() };
  for (const side of ["floor", "ours"] as const) await throughput(course[side], inFlight, slice / 2);
  for (let round = 0; round < roundsEach; round += 1)
    for (const side of ["floor", "ours"] as const) {
      const before = await course.serverSeconds?.();
      const { rate, pairs } = await throughput(course[side], inFlight, slice);
      const after = await course.serverSeconds?.();
      measured[side].rates.push(rate);
      if (before !== undefined && after !== undefined)
        measured[side].serverMicros.push(((after - before) * 1e6) / pairs);
    }
  const compare = (what: string, unit: string, key: keyof Samples, digits = 0): void => {
    const [floor, ours] = [median(measured.floor[key]), median(measured.ours[key])];
    const figures = [`floor ${floor.toFixed(digits)}${unit}`, `lock ${ours.toFixed(digits)}${unit}`];
    row(`${what}, ${inFlight} in flight`, [...figures, `ratio ${(ours / floor).toFixed(2)}`]);
  };
  compare("acquire + release", "/s", "rates");
  if (course.serverSeconds !== undefined) compare("server CPU for it", " µs", "serverMicros", 1);
}

class Samples {
  readonly rates: number[] = [];
  readonly serverMicros: number[] = [];
}

async function compareHandOver({ floor, ours }: Course, seconds: number): Promise<void> {
  const measured = async (
    contender: Contender,
  ): Promise<{ p50: number; p99: number; fair: number; n: number }> => {
    const { latenciesMs, turns } = await handOvers(contender, seconds / 2);
    const [p50, p99] = [percentile(latenciesMs, 0.5), percentile(latenciesMs, 0.99)];
    return { p50, p99, fair: jain(turns), n: latenciesMs.length };
  };
  const [bare, lock] = [await measured(floor), await measured(ours)];
  for (const [name, key] of [
    ["p50", "p50"],
    ["p99", "p99"],
  ] as const)
    row(`hand-over, ${workerCount} workers, ${name}`, [
      `floor ${bare[key].toFixed(2)} ms`,
      `lock ${lock[key].toFixed(2)} ms`,
      `ratio ${(lock[key] / bare[key]).toFixed(2)}`,
    ]);
  row("Jain fairness", [
    `floor ${bare.fair.toFixed(3)}`,
    `lock ${lock.fair.toFixed(3)}`,
    `${lock.n} hand-overs`,
  ]);
}

function row(what: string, figures: readonly string[]): void {
  console.log(`${what.padEnd(34)} ${figures.map((figure) => figure.padEnd(20)).join(" ")}`.trimEnd());
}

async function main(): Promise<void> {
  const { what, backend, seconds, url, help } = readOptions();
  if (help) return console.log(usage);
  if (what === "resilience") return benchResilience(seconds);
  if (what === "memory") return withRedis(url, benchMemory);
  const course = await openCourse(backend, url);
  try {
    console.log(
      `${backend}; the floor is: ${course.floor.name}; medians of ${roundsEach} alternating rounds\n`,
    );
    await compareThroughput(course, 1, seconds / 3);
    await compareThroughput(course, 64, seconds / 3);
    await compareHandOver(course, seconds / 3);
  } finally {
    await course.close();
  }
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
