import { elapsedMs, type Clock, type Inspection, type Instant } from "@leasehold/core";

import { decodeProclamation, type Proclamation } from "./messages.ts";

/** What a look at the circuit's line taught. */
export type Lesson =
  /** Nothing new about the state: as known, older than what is known, or between two leaders. */
  | "nothing"
  /** Another state, or another open time. */
  | "changed"
  /** The leader closed the circuit, which was open: what calls found before is over here, too. */
  | "closed"
  /** Nobody leads or stands in line: the circuit is closed, and each node judges by itself. */
  | "vacant"
  /** The leader's word cannot be read: the circuit counts as closed. */
  | "malformed";

const silence: Proclamation = { state: "closed", sequence: 0, openMs: 0, restMs: 0, attempt: 0, reason: "" };

/**
 * What this node knows of the shared circuit. No I/O happens here: looks go in, and what is to be
 * believed comes out.
 *
 * Words are ordered by (term, sequence). The store refuses a stale leader's proclamation, so of two
 * words the higher one is true, in whatever order the looks that show them arrive.
 */
export class View {
  readonly #clock: Clock;
  readonly #maxStalenessMs: number;
  #term = -1n;
  #word: Proclamation = silence;
  /** When the word was heard: open times count from here, on this node's clock alone. */
  #heardAt: Instant;
  /** When the last look began that showed that the word still stands. */
  #confirmedAt: Instant;
  /** Whether this node leads: then it need not look to know its own word. */
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

  /** Grows with each word: a look that a word has overtaken proves no vacancy. */
  get version(): number {
    return this.#version;
  }

  /** Whether the circuit is known to be open or half-open. Computed when asked: never a flag. */
  get governs(): boolean {
    return this.#word.state !== "closed" && this.staleInMs > 0;
  }

  /** How long the word is believed without being confirmed, in ms; Infinity for the node's own. */
  get staleInMs(): number {
    if (this.#isLeading()) return Infinity;
    return this.#maxStalenessMs - elapsedMs(this.#clock, this.#confirmedAt);
  }

  /** What is left of the open time by this node's clock, in milliseconds; 0 when it is over. */
  get openForMs(): number {
    return Math.max(0, this.#word.restMs - elapsedMs(this.#clock, this.#heardAt));
  }

  /** A look that began at `startedAt`, at that `version`. Looks are one at a time. */
  saw(look: Inspection, startedAt: Instant, version: number): Lesson {
    // A word of this node's own, or a reset, has overtaken the look: it may show what was before.
    if (version !== this.#version) return "nothing";
    const [holder] = look.holders;
    if (holder === undefined) {
      // With a line: the last leader is gone, and the next one does not know yet that it leads. The
      // last word stands, unconfirmed. And a node that leads learns of its loss by its lease, not
      // by a look.
      if (look.line.length > 0 || this.#isLeading()) return "nothing";
      // The next term may be lower: of a store that lost its counter, on a clock that ran back.
      const wasOpen = this.#word.state !== "closed";
      this.#hear(silence, -1n);
      return wasOpen ? "vacant" : "nothing";
    }
    const text = holder.origin?.value;
    // A leader that says nothing counts votes, or has just taken over and is about to speak.
    if (text === "") return "nothing";
    const word = typeof text === "string" ? decodeProclamation(text) : null;
    if (word === null) return this.#malformed(holder.fencingToken);
    return this.#heard(holder.fencingToken, word, startedAt);
  }

  /** This node's own word, which the store has acknowledged. Needs no look while `isHeld`. */
  said(term: bigint, word: Proclamation, isHeld: () => boolean): Lesson {
    this.#isLeading = isHeld;
    return this.#heard(term, word, this.#clock.now());
  }

  /** For an operator's reset. */
  forget(): void {
    this.#hear(silence, -1n);
  }

  #heard(term: bigint, word: Proclamation, at: Instant): Lesson {
    const isNewer = term > this.#term || (term === this.#term && word.sequence > this.#word.sequence);
    if (!isNewer) {
      if (term === this.#term && word.sequence === this.#word.sequence) this.#confirmedAt = at;
      return "nothing";
    }
    // A word that was too old to be believed left the node alone: what it found since stays.
    const governed = this.governs;
    this.#hear(word, term);
    this.#confirmedAt = at;
    if (word.state === "closed") return governed ? "closed" : "nothing";
    return "changed";
  }

  #malformed(term: bigint): Lesson {
    if (term < this.#term) return "nothing";
    // `silence` is below every sequence of this term: a word that can be read is believed again.
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
