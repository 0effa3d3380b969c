import type { Claim } from "./claim.ts";

/** What the renewal loop knows of a claim. */
export interface Entry {
  dueMs: number;
  asking: boolean;
  /** A reason to ask came while a question was on its way. The answer to that may be older. */
  askAgain: boolean;
  unconfirmed: boolean;
}

/** One claim of a batch, and the ticket that the question names. */
export interface Question {
  readonly claim: Claim;
  readonly entry: Entry;
  readonly ticket: bigint;
}

/** A claim due within this joins a batch that leaves now. So claims of a process drift together. */
const batchWindowMs = (ttlMs: number): number => ttlMs / 6;

interface Batch {
  readonly questions: Question[];
  isDue: boolean;
}

/**
 * Which claims to ask about at a moment, in batches. A question may go unanswered for a share of
 * its claim's ttl, and a batch has one time limit. So a batch is of ttls within a factor of two:
 * among shorter ones, a lease of fifteen seconds would have a tenth of a second for each renewal,
 * and be lost on a slow link.
 */
export class DueClaims {
  readonly #nowMs: number;
  readonly #batches = new Map<number, Batch>();

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  add(claim: Claim, entry: Entry): void {
    const { ticket, ttlMs } = claim;
    if (entry.asking || ticket === null || entry.dueMs > this.#nowMs + batchWindowMs(ttlMs)) return;
    const size = Math.floor(Math.log2(ttlMs));
    let batch = this.#batches.get(size);
    if (batch === undefined) this.#batches.set(size, (batch = { questions: [], isDue: false }));
    batch.questions.push({ claim, entry, ticket });
    if (entry.dueMs <= this.#nowMs) batch.isDue = true;
  }

  /** The window only widens a batch that is due anyway: an alarm by itself sends nothing. */
  *batches(): Generator<readonly Question[]> {
    for (const { questions, isDue } of this.#batches.values()) if (isDue) yield questions;
  }
}
