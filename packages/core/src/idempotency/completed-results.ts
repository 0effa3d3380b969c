import { elapsedMs, type Clock, type Instant } from "../base/clock.ts";

export interface CompletedResult {
  readonly fingerprint: string;
  readonly body: string;
  readonly token: bigint;
  readonly attempt: number;
}

/** Completed results that this process has seen, the least recently used forgotten first: a replay without a round trip. */
export class CompletedResults {
  readonly #capacity: number;
  readonly #maxAgeMs: number;
  readonly #clock: Clock;
  readonly #results = new Map<string, CompletedResult & { readonly since: Instant }>();

  /** A result is kept for `maxAgeMs` at most, which must not be longer than the store keeps it. */
  constructor(capacity: number, maxAgeMs: number, clock: Clock) {
    this.#capacity = capacity;
    this.#maxAgeMs = maxAgeMs;
    this.#clock = clock;
  }

  get(record: string): CompletedResult | null {
    const result = this.#results.get(record);
    if (result === undefined) return null;
    this.#results.delete(record);
    if (elapsedMs(this.#clock, result.since) >= this.#maxAgeMs) return null;
    this.#results.set(record, result);
    return result;
  }

  /** `since`: a moment before the request that the store answered, so that the store forgets it no earlier than we do. */
  add(record: string, result: CompletedResult, since: Instant): void {
    if (this.#capacity === 0) return;
    this.#results.delete(record);
    this.#results.set(record, { ...result, since });
    if (this.#results.size <= this.#capacity) return;
    const [oldest] = this.#results.keys();
    if (oldest !== undefined) this.#results.delete(oldest);
  }
}
