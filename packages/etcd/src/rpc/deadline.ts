import { within, type Clock } from "@leasehold/core";
import { RpcFailure } from "./failure.ts";

/** The time that one call of a caller may take, over all the requests that it needs. */
export class Deadline {
  readonly #clock: Clock;
  readonly #atMs: number;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#atMs = clock.now().monoMs + timeoutMs;
  }

  /** Milliseconds left; never negative. */
  get leftMs(): number {
    return Math.max(0, this.#atMs - this.#clock.now().monoMs);
  }
}

/** Work that several callers share, for one of them: rejects once the time of this one is over. */
export function inTime<T>(clock: Clock, work: Promise<T>, timeoutMs: number): Promise<T> {
  return within(work, { clock, limitMs: timeoutMs }, () => {
    throw new RpcFailure("unanswered", `no answer within ${Math.round(timeoutMs)} ms`);
  });
}
