import type { Verdict } from "../circuit/verdict.ts";

/** The leadership under which a call may be the probe. */
export interface Licence {
  readonly term: bigint;
  isHeld(): boolean;
}

/** What the call holds that is the probe. */
export interface ProbePass {
  readonly term: bigint;
  /** Says what the probe found. False: its slot was shut before, so it changes nothing. */
  handIn(verdict: Verdict): boolean;
}

/**
 * Room for one probe of the whole fleet. Every node has a slot, and only the leader's is ever open.
 * A call that does not get it is refused: no call waits here.
 */
export class ProbeSlot {
  #opening: { readonly licence: Licence; readonly found: (verdict: Verdict) => void } | null = null;
  #taken = false;

  /** Whether a call would be let through now. */
  get isFree(): boolean {
    return this.#opening !== null && !this.#taken && this.#opening.licence.isHeld();
  }

  /** Whether a probe is running. */
  get isTaken(): boolean {
    return this.#taken;
  }

  /** Lets one call through, and resolves with what it found. */
  open(licence: Licence): Promise<Verdict> {
    const { promise, resolve: found } = Promise.withResolvers<Verdict>();
    this.#opening = { licence, found };
    this.#taken = false;
    return promise;
  }

  /** A verdict that comes later changes nothing. */
  shut(): void {
    this.#opening = null;
    this.#taken = false;
  }

  /** Null: the slot is shut or taken, or its lease has just run out, before anybody was told. */
  take(): ProbePass | null {
    const opening = this.#opening;
    if (opening === null || !this.isFree) return null;
    this.#taken = true;
    const handIn = (verdict: Verdict): boolean => {
      if (this.#opening !== opening) return false;
      // Still taken: the next call is let through once the leader has drawn its conclusion.
      opening.found(verdict);
      return true;
    };
    return { term: opening.licence.term, handIn };
  }
}
