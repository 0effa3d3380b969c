import type { IEvent } from "etcd3";
import { hasLease } from "../format/answers.ts";
import type { ClaimKeys } from "../format/claim-keys.ts";
import type { Line } from "./line.ts";
import type { OwnClaim } from "./own-claim.ts";

interface Waiter {
  readonly claim: OwnClaim;
  /** The weights of the claims ahead, as of `revision`. */
  ahead: number;
  revision: bigint;
}

interface Deletion {
  readonly revision: bigint;
  readonly ticket: bigint;
  readonly weight: number;
}

/** What became of our waiters. A grant is final; so is a death. */
export interface Changes {
  readonly granted: OwnClaim[];
  readonly gone: OwnClaim[];
  /**
   * Something was missed or not understood: only a read of the line can tell where our waiters
   * stand.
   */
  readonly unclear: boolean;
}

/**
 * Enough for the deletions that a reply can have met on its way here; beyond, the line is read
 * again.
 */
const remembered = 256;

/**
 * Where the waiters of this process stand in one line. Nobody can join ahead of a claim, so what is
 * ahead of it only shrinks: it is enough to know the sum at one revision, and to hear of each later
 * deletion, in order. That makes a hand-over free of requests, and a thousand waiters cost no more
 * than one.
 *
 * A waiter's sum comes from a reply, the deletions from a watch, and either may overtake the other.
 * So each sum carries its revision, deletions up to it are not taken off again, and those that came
 * before the reply are kept and taken off late.
 */
export class LineWaiters {
  readonly #keys: ClaimKeys;
  readonly #waiters = new Map<bigint, Waiter>();
  #deletions: Deletion[] = [];
  /** Every deletion after this revision is in `#deletions`; null while no watch tells of them. */
  #completeAfter: bigint | null = null;

  constructor(keys: ClaimKeys) {
    this.#keys = keys;
  }

  get size(): number {
    return this.#waiters.size;
  }

  /** A claim has joined, with so much ahead of it at `revision`. */
  add(claim: OwnClaim, ahead: number, revision: bigint): Changes {
    // Told to be deleted before its own reply came.
    if (this.#deletions.some(({ ticket }) => ticket === claim.ticket))
      return { granted: [], gone: [claim], unclear: false };
    const waiter = { claim, ahead, revision };
    this.#waiters.set(claim.ticket, waiter);
    return this.#settle(this.#catchUp(waiter));
  }

  delete(claim: OwnClaim): void {
    this.#waiters.delete(claim.ticket);
  }

  /** A watch tells every deletion after `revision` from now on. */
  watchedFrom(revision: bigint): Changes {
    this.#deletions = [];
    this.#completeAfter = revision;
    return this.#settle([...this.#waiters.values()].every((waiter) => waiter.revision >= revision));
  }

  /** Nothing more is told. */
  unwatched(): void {
    this.#deletions = [];
    this.#completeAfter = null;
  }

  /**
   * The watch told of deletions: whole revisions, so a lease that ends with many claims on it
   * counts as one step.
   */
  deleted(events: readonly IEvent[]): Changes {
    const gone: OwnClaim[] = [];
    let clear = true;
    const fresh: Deletion[] = [];
    for (const { kv, prev_kv: previous } of events) {
      const key = this.#keys.parse(kv.key);
      const revision = BigInt(kv.mod_revision);
      const ticket = previous ? BigInt(previous.create_revision) : undefined;
      // The key before its deletion says what it weighed and when it came; a compaction may have
      // taken it away. Without a lease it was litter: a sum that was counted has it in it, and one
      // that was read has not. To take it off from such a one would let two hold.
      if (key !== undefined && ticket !== undefined && previous && hasLease(previous))
        fresh.push({ revision, ticket, weight: key.weight });
      else {
        clear = false;
        this.#incompleteUpTo(revision);
      }
      const mine = ticket === undefined ? undefined : this.#waiters.get(ticket);
      if (mine === undefined) continue;
      this.#waiters.delete(mine.claim.ticket);
      gone.push(mine.claim);
    }
    for (const waiter of this.#waiters.values()) takeOff(waiter, fresh);
    this.#remember(fresh);
    return { ...this.#settle(clear), gone };
  }

  /** A read of the whole line. */
  read(line: Line): Changes {
    const gone: OwnClaim[] = [];
    let clear = true;
    const byTicket = new Map(line.claims.map((claim) => [claim.ticket, claim]));
    for (const waiter of this.#waiters.values()) {
      // A claim that joined after the read knows better already.
      if (waiter.claim.ticket > line.revision || waiter.revision > line.revision) continue;
      const seen = byTicket.get(waiter.claim.ticket);
      if (seen === undefined) {
        this.#waiters.delete(waiter.claim.ticket);
        gone.push(waiter.claim);
        continue;
      }
      waiter.ahead = seen.ahead;
      waiter.revision = line.revision;
      clear = this.#catchUp(waiter) && clear;
    }
    return { ...this.#settle(clear), gone };
  }

  /**
   * Takes off what was deleted since the waiter's sum was made; false if that is not known any
   * more.
   */
  #catchUp(waiter: Waiter): boolean {
    takeOff(waiter, this.#deletions);
    return this.#completeAfter === null || waiter.revision >= this.#completeAfter;
  }

  #remember(fresh: readonly Deletion[]): void {
    for (const deletion of fresh) this.#deletions.push(deletion);
    const excess = this.#deletions.length - remembered;
    if (excess <= 0) return;
    for (const { revision } of this.#deletions.splice(0, excess)) this.#incompleteUpTo(revision);
  }

  #incompleteUpTo(revision: bigint): void {
    if (this.#completeAfter !== null && this.#completeAfter < revision) this.#completeAfter = revision;
  }

  /** Those who fit by now are waiters no longer. */
  #settle(clear: boolean): Changes {
    const granted: OwnClaim[] = [];
    for (const { claim, ahead } of this.#waiters.values())
      if (ahead + claim.weight <= claim.capacity) granted.push(claim);
    for (const claim of granted) this.#waiters.delete(claim.ticket);
    return { granted, gone: [], unclear: !clear };
  }
}

function takeOff(waiter: Waiter, deletions: readonly Deletion[]): void {
  for (const { revision, ticket, weight } of deletions) {
    if (revision <= waiter.revision || ticket >= waiter.claim.ticket) continue;
    waiter.ahead -= weight;
  }
}
