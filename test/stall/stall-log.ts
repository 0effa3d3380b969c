import { beatHeart, type Stall } from "./heartbeat.ts";

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

  /** The longest of them that ended after this moment. */
  longest(sinceNs: bigint): { readonly ms: number; readonly of: string } {
    let longest = { ms: 0, of: "" };
    for (const { fromNs, toNs, of = "the test" } of this.#stalls) {
      const ms = Number(toNs - fromNs) / 1e6;
      if (toNs > sinceNs && ms > longest.ms) longest = { ms, of };
    }
    return longest;
  }
}

/** Those of this test file: of its own process, and of every child, which reports its own. */
export const stalls = new StallLog();
beatHeart((stall) => stalls.record(stall));
