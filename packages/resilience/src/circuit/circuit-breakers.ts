import { checkDuration, checkNumber, checkText } from "../base/arguments.ts";
import type { CircuitBreaker, CircuitBreakerOptions, CircuitState } from "./circuit-breaker.ts";
import { readCircuitOptions, type CircuitSettings } from "./circuit-settings.ts";
import { LocalCircuitBreaker } from "./local-circuit-breaker.ts";

export interface CircuitBreakersOptions extends CircuitBreakerOptions {
  /** After how long without use a closed circuit is forgotten, in ms. Default: 600,000 (10 min). */
  readonly idleMs?: number;
  /** How many circuits are kept. Default: 1,000. */
  readonly maxCircuits?: number;
}

/** One circuit per key, all alike: a tenant, a host, a shard. */
export interface CircuitBreakers {
  readonly name: string;
  /** How many circuits are kept. */
  readonly size: number;
  /** The key's circuit. Ask anew for each call: a circuit that was forgotten has a successor. */
  get(key: string): CircuitBreaker;
  /** Keys and circuits, the least recently used first. To iterate is no use of them. */
  [Symbol.iterator](): IterableIterator<[string, CircuitBreaker]>;
}

/**
 * Many circuits, bounded. There is no timer: old circuits go when a new key arrives.
 *
 * A closed circuit that nobody has used for `idleMs` is forgotten; it knew nothing that still
 * counts. An open circuit is kept, since its successor would let all calls through at once. But the
 * bound also holds against a flood of keys that all fail. Over `maxCircuits` the least recently
 * used closed circuit goes. Only if none is closed, the least recently used open circuit goes, and
 * its successor finds out again. An isolated circuit never goes: an operator holds it, and would
 * not be told.
 *
 * Throws `INVALID_ARGUMENT`.
 */
export function circuitBreakers(options: CircuitBreakersOptions): CircuitBreakers {
  const settings = readCircuitOptions(options);
  const { idleMs = 600_000, maxCircuits = 1_000 } = options;
  checkDuration("idleMs", idleMs, { infinite: true });
  checkNumber("maxCircuits", maxCircuits, { atLeast: 1, whole: true });
  return new Registry(settings, idleMs, maxCircuits);
}

interface Entry {
  readonly breaker: LocalCircuitBreaker;
  usedMs: number;
}

class Registry implements CircuitBreakers {
  readonly #settings: CircuitSettings;
  readonly #idleMs: number;
  readonly #maxCircuits: number;
  /** In order of use, the oldest first. */
  readonly #entries = new Map<string, Entry>();

  constructor(settings: CircuitSettings, idleMs: number, maxCircuits: number) {
    this.#settings = settings;
    this.#idleMs = idleMs;
    this.#maxCircuits = maxCircuits;
  }

  get name(): string {
    return this.#settings.name;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): CircuitBreaker {
    const usedMs = this.#settings.clock.now().monoMs;
    const known = this.#entries.get(checkText("key", key));
    if (known !== undefined) this.#entries.delete(key);
    const isKept = known !== undefined && !this.#isForgettable(known, usedMs);
    if (known === undefined) this.#makeRoom(usedMs);
    const breaker = isKept ? known.breaker : new LocalCircuitBreaker(this.#settings, key);
    this.#entries.set(key, { breaker, usedMs });
    return breaker;
  }

  *[Symbol.iterator](): IterableIterator<[string, CircuitBreaker]> {
    for (const [key, { breaker }] of this.#entries) yield [key, breaker];
  }

  #isForgettable({ breaker, usedMs }: Entry, nowMs: number): boolean {
    return breaker.state === "closed" && nowMs - usedMs >= this.#idleMs;
  }

  #makeRoom(nowMs: number): void {
    for (const [key, entry] of this.#entries) {
      if (nowMs - entry.usedMs < this.#idleMs) break;
      if (entry.breaker.state === "closed") this.#entries.delete(key);
    }
    if (this.#entries.size < this.#maxCircuits) return;
    const oldest = (isIt: (state: CircuitState) => boolean): string | undefined => {
      for (const [key, { breaker }] of this.#entries) if (isIt(breaker.state)) return key;
      return undefined;
    };
    const key = oldest((state) => state === "closed") ?? oldest((state) => state !== "isolated");
    if (key !== undefined) this.#entries.delete(key);
  }
}
