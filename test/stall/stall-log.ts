import { beatHeart, type Stall } from "./heartbeat.ts";

/** How the server is called that a test talks to. */
export const ofServer = "the server";

/** The stalls of all processes that take part in a test. */
export class StallLog {
  readonly #stalls: Stall[] = [];

  record(stall: Stall): void {
    this.#stalls.push(stall);
  }

  /**
   * How long some process was stalled between two moments, in milliseconds. Stalls at once count
   * once, those one after another add up: what is bounded is a chain of steps in several processes,
   * and each may have waited for its link.
   */
  stalledMs(fromNs: bigint, toNs: bigint): number {
    let [totalNs, countedToNs] = [0n, fromNs];
    for (const stall of this.#stalls.toSorted((a, b) => (a.fromNs < b.fromNs ? -1 : 1))) {
      const startNs = stall.fromNs > countedToNs ? stall.fromNs : countedToNs;
      const endNs = stall.toNs < toNs ? stall.toNs : toNs;
      if (endNs <= startNs) continue;
      totalNs += endNs - startNs;
      countedToNs = endNs;
    }
    return Number(totalNs) / 1e6;
  }

  /**
   * Who got the least of any time of `windowMs` since this moment, and how much of it was lost. The
   * server's stalls count for everybody: a claim is kept alive by its process and the server. Many
   * short stalls are as bad as a long one, for a process that gets a tenth of a processor is late
   * without ever standing still.
   */
  worst(windowMs: number, sinceNs: bigint): { readonly ms: number; readonly of: string } {
    const recent = this.#stalls.filter(({ toNs }) => toNs > sinceNs);
    let worst = { ms: 0, of: "" };
    for (const all of Map.groupBy(recent, ({ of, pid }) => `${of} ${pid}`).values()) {
      const { of = "the test" } = all[0] ?? {};
      const others = of === ofServer ? [] : recent.filter((stall) => stall.of === ofServer);
      const ms = mostWithin(windowMs, unionOf([...all, ...others], sinceNs));
      if (ms > worst.ms) worst = { ms, of };
    }
    return worst;
  }
}

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** In order, and apart from each other. */
function unionOf(stalls: readonly Stall[], sinceNs: bigint): readonly Span[] {
  const spans: { fromMs: number; toMs: number }[] = [];
  for (const { fromNs, toNs } of stalls.toSorted((a, b) => (a.fromNs < b.fromNs ? -1 : 1))) {
    const [fromMs, toMs] = [fromNs, toNs].map((ns) => Number(ns - sinceNs) / 1e6) as [number, number];
    const last = spans.at(-1);
    if (last !== undefined && fromMs <= last.toMs) last.toMs = Math.max(last.toMs, toMs);
    else spans.push({ fromMs, toMs });
  }
  return spans;
}

/** The most that lies in a window: in one that begins where a span does, or ends where one does. */
function mostWithin(windowMs: number, spans: readonly Span[]): number {
  const lengthIn = (startMs: number): number => {
    let sumMs = 0;
    for (const { fromMs, toMs } of spans) {
      if (fromMs >= startMs + windowMs) break;
      sumMs += Math.max(0, Math.min(toMs, startMs + windowMs) - Math.max(fromMs, startMs));
    }
    return sumMs;
  };
  return Math.max(0, ...spans.flatMap(({ fromMs, toMs }) => [lengthIn(fromMs), lengthIn(toMs - windowMs)]));
}

/** Those of this test file: of its own process, and of every child, which reports its own. */
export const stalls = new StallLog();
beatHeart((stall) => stalls.record(stall));
