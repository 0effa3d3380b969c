import { elapsedMs, type Clock, type Instant } from "../base/clock.ts";

/** Something that weakens or delays, and that operators should see. No secrets, no full owners. */
export interface Degradation {
  readonly reason: DegradationReason;
  readonly message: string;
}

/** A degradation is over. */
export interface Restoration {
  readonly reason: LastingReason;
  /** How long it lasted, in milliseconds. */
  readonly afterMs: number;
}

/**
 * What is told once, and then is so until it is restored. It tells of service: a socket that was
 * lost while nobody needed it, and that is back at the next call, is none of these.
 */
export type LastingReason =
  /** The store does not answer, or no connection to it can be made. */
  | "unreachable"
  /** The store answers, and says no: to writes, or to this user. The message says what it said. */
  | "refusing"
  /** Pushes may be missed. Waiting claims are asked about again, at once and when this is over. */
  | "pushes-interrupted"
  /** After a failover two processes could hold one name for longer than a ttl. */
  | "may-split-brain";

export type DegradationReason =
  | LastingReason
  /** The store answered with something that this backend did not write. Told each time. */
  | "malformed-record";

interface Lasting {
  readonly since: Instant;
  /** What suffers from it. It is over when nothing does any more. */
  readonly sources: Set<unknown>;
}

/**
 * How well a store serves, as its backend found out. Each lasting degradation is told once, and
 * once more when it is over, however often the backend meets with it in between. Several parts of
 * a backend may suffer from the same one: each names itself as the `source`.
 */
export class Health {
  readonly #clock: Clock;
  readonly #lasting = new Map<LastingReason, Lasting>();
  readonly #onDegraded = new Set<(degradation: Degradation) => void>();
  readonly #onRestored = new Set<(restoration: Restoration) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether this lasts now. */
  has(reason: LastingReason): boolean {
    return this.#lasting.has(reason);
  }

  readonly degraded = (degradation: Degradation, source?: unknown): void => {
    const { reason } = degradation;
    if (reason !== "malformed-record") {
      const lasting = this.#lasting.get(reason);
      if (lasting !== undefined) return void lasting.sources.add(source);
      this.#lasting.set(reason, { since: this.#clock.now(), sources: new Set([source]) });
    }
    for (const listener of [...this.#onDegraded]) listener(degradation);
  };

  /** It is over, for this source. Says nothing if it was not told, or is over already. */
  readonly restored = (reason: LastingReason, source?: unknown): void => {
    const lasting = this.#lasting.get(reason);
    if (lasting?.sources.delete(source) !== true || lasting.sources.size > 0) return;
    this.#lasting.delete(reason);
    const afterMs = elapsedMs(this.#clock, lasting.since);
    for (const listener of [...this.#onRestored]) listener({ reason, afterMs });
  };

  readonly onDegraded = (listener: (degradation: Degradation) => void): (() => void) => {
    this.#onDegraded.add(listener);
    return () => this.#onDegraded.delete(listener);
  };

  readonly onRestored = (listener: (restoration: Restoration) => void): (() => void) => {
    this.#onRestored.add(listener);
    return () => this.#onRestored.delete(listener);
  };

  /** Nobody is told anything any more. */
  close(): void {
    this.#onDegraded.clear();
    this.#onRestored.clear();
  }
}
