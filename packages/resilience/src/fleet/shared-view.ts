import { elapsedMs, type Clock, type Inspection, type Instant } from "@leasehold/core";

import { decodeProclamation, type Proclamation } from "./proclamation.ts";

/** What a look at the circuit's line taught. */
export type Lesson =
  /** Nothing about the state: as known, older than what is known, or a moment between two leaders. */
  | "nothing"
  /** Another state, or another open time. */
  | "changed"
  /** The leader says that the circuit, which was open, is closed: what calls said before is over, here as well. */
  | "closed"
  /** Nobody leads, and nobody stands in line: the circuit is closed, and each node is alone with what it found out. */
  | "vacant"
  /** The leader's word cannot be read: the circuit counts as closed. */
  | "malformed";

const silence: Proclamation = { state: "closed", sequence: 0, openMs: 0, restMs: 0, attempt: 0, reason: "" };

/**
 * What this node knows of the shared circuit. No I/O happens here: looks go in, and what is to be believed comes out.
 *
 * Words are ordered by (term, sequence): the store refuses a stale leader's proclamation, so of two words the higher one is
 * true, in whatever order the looks that show them arrive.
 */
export class SharedView {
  readonly #clock: Clock;
  readonly #maxStalenessMs: number;
  #term = -1n;
  #word: Proclamation = silence;
  /** When the word was heard: open times count from here, on this node's clock alone. */
  #heardAt: Instant;
  /** When the look began that showed last that the word still stands. */
  #confirmedAt: Instant;
  /** Whether this node leads: then it need not look to know what it said itself. */
  #isLeading: () => boolean = () => false;
  #version = 0;

  constructor(clock: Clock, maxStalenessMs: number) {
    this.#clock = clock;
    this.#maxStalenessMs = maxStalenessMs;
    this.#heardAt = this.#confirmedAt = clock.now();
  }

  /** The last word heard, believed or not. */
  get word(): Proclamation {
    return this.#word;
  }

  /** Grows with each word: a look that was overtaken by one is no proof of a vacancy. */
  get version(): number {
    return this.#version;
  }

  /** Whether the circuit is known to be open or half-open: then it governs here, too. Computed at each look, never a flag. */
  get governs(): boolean {
    return this.#word.state !== "closed" && this.staleInMs > 0;
  }

  /** How long the word may still be believed without being confirmed, in milliseconds; Infinity for one's own. */
  get staleInMs(): number {
    if (this.#isLeading()) return Infinity;
    return this.#maxStalenessMs - elapsedMs(this.#clock, this.#confirmedAt);
  }

  /** What is left of the open time, by this node's clock; 0 when it is over. */
  get openForMs(): number {
    return Math.max(0, this.#word.restMs - elapsedMs(this.#clock, this.#heardAt));
  }

  /** A look that began at `startedAt`, when `version` was what it is given as. Looks are one at a time. */
  saw(look: Inspection, startedAt: Instant, version: number): Lesson {
    // Overtaken by a word of this node's own, or by a reset: what it shows may be what was before.
    if (version !== this.#version) return "nothing";
    const [holder] = look.holders;
    if (holder === undefined) {
      // The last leader is gone, and the next one does not know yet that it leads: the last word stands, unconfirmed. And one
      // who leads learns by its lease, not by a look, that it does no longer.
      if (look.line.length > 0 || this.#isLeading()) return "nothing";
      // The next term may be any, also a lower one: a store that lost its counter, on a clock that ran back.
      const wasOpen = this.#word.state !== "closed";
      this.#hear(silence, -1n);
      return wasOpen ? "vacant" : "nothing";
    }
    const text = holder.origin?.value;
    // A leader that says nothing counts votes, or has just taken over and is about to say what it found.
    if (text === "") return "nothing";
    const word = typeof text === "string" ? decodeProclamation(text) : null;
    if (word === null) return this.#malformed(holder.fencingToken);
    return this.#heard(holder.fencingToken, word, startedAt);
  }

  /** This node's own word, acknowledged by the store; its own for as long as its leadership `isHeld`. */
  said(term: bigint, word: Proclamation, isHeld: () => boolean): Lesson {
    this.#isLeading = isHeld;
    return this.#heard(term, word, this.#clock.now());
  }

  /** An operator's word: forget it all. */
  forget(): void {
    this.#hear(silence, -1n);
  }

  #heard(term: bigint, word: Proclamation, at: Instant): Lesson {
    const isNewer = term > this.#term || (term === this.#term && word.sequence > this.#word.sequence);
    if (!isNewer) {
      if (term === this.#term && word.sequence === this.#word.sequence) this.#confirmedAt = at;
      return "nothing";
    }
    // A word that was too old to be believed left this node to itself: what it found out since is its own.
    const governed = this.governs;
    this.#hear(word, term);
    this.#confirmedAt = at;
    if (word.state === "closed") return governed ? "closed" : "nothing";
    return "changed";
  }

  #malformed(term: bigint): Lesson {
    if (term < this.#term) return "nothing";
    // Below every sequence of this term: a word that can be read will be believed again.
    if (term > this.#term || this.#word !== silence) this.#hear(silence, term);
    return "malformed";
  }

  #hear(word: Proclamation, term: bigint): void {
    this.#word = word;
    this.#term = term;
    this.#heardAt = this.#clock.now();
    this.#version += 1;
  }
}
