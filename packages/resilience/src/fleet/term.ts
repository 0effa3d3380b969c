import { elapsedMs, sleep, type Clock, type Leadership } from "@leasehold/core";

import { nextDelayMs, type Backoff } from "../retry/backoff.ts";
import type { Verdict } from "../circuit/verdict.ts";
import type { Trouble } from "./fleet-event.ts";
import type { Observer } from "./observer.ts";
import { orAborted } from "./or-aborted.ts";
import type { ProbeSlot } from "./probe-slot.ts";
import { longestOpenMs } from "./proclamation.ts";
import { quorumOf, type QuorumOptions } from "./quorum.ts";
import type { SharedView } from "./shared-view.ts";
import { Voice, type VoiceOptions } from "./voice.ts";

/** What every leader of a circuit needs. */
export interface Office extends VoiceOptions {
  readonly view: SharedView;
  readonly observer: Observer;
  readonly slot: ProbeSlot;
  readonly clock: Clock;
  readonly quorum: QuorumOptions;
  readonly openMs: Backoff;
  readonly pollMs: number;
  readonly probeWaitMs: number;
  /** Ends everything: the breaker closes. */
  readonly closing: AbortSignal;
  readonly onProbed: (outcome: Verdict | "fenced", term: bigint) => void;
  /** No call came to probe with: the leadership is passed on. */
  readonly onIdle: () => void;
  readonly onTrouble: (what: Trouble, error: unknown) => void;
  /** What was in trouble is so no longer. */
  readonly onWell: (what: Trouble) => void;
}

type Next = "go on" | "over";

/**
 * What a leader does, from its election to its resignation: counts votes while the circuit is closed, waits while it is
 * open, lets one call through as the probe, and draws the conclusion. It alone makes transitions, each a proclamation,
 * which the store takes from the one who leads and from nobody else: that is what fences a leader that was paused.
 */
export class Term {
  readonly #leadership: Leadership;
  readonly #office: Office;
  /** Ends the term at its next step. */
  readonly #over: AbortSignal;
  /** Ends it at once. While the circuit is being closed only this does: that nobody has a reason to stand does not. */
  readonly #cut: AbortSignal;
  readonly #voice: Voice;
  #counted = false;
  #probeFailed = false;

  constructor(leadership: Leadership, withdrawn: AbortSignal, office: Office) {
    this.#leadership = leadership;
    this.#office = office;
    this.#cut = AbortSignal.any([leadership.signal, office.closing]);
    this.#over = AbortSignal.any([this.#cut, withdrawn]);
    this.#voice = new Voice(leadership, this.#cut, office);
  }

  /**
   * Resolves when the leadership has been given back, or the store could not be told. Rejects only with what a backoff of
   * the caller's own throws.
   */
  async serve(): Promise<void> {
    const { slot } = this.#office;
    try {
      for (let next: Next = "go on"; next === "go on" && !this.#over.aborted;) next = await this.#step();
    } finally {
      slot.shut();
      await this.#leadership.resign().catch(() => undefined);
    }
  }

  /** Goes on from what this node has observed: the last leader may have died at any point. */
  #step(): Promise<Next> {
    const { view } = this.#office;
    // A word too old to be believed governs nobody any more: votes are counted anew.
    if (!view.governs) return this.#count();
    return view.word.state === "open" ? this.#waitOut() : this.#probe();
  }

  async #count(): Promise<Next> {
    const { observer, quorum, clock, onTrouble, onWell } = this.#office;
    // The line as it was before this node led says nothing. Later looks come by themselves, since it stands.
    const look = this.#counted ? observer.nextLook() : observer.look();
    this.#counted = true;
    if ((await orAborted(look, this.#over)) !== true) return "go on";
    if (observer.line.owners[0] !== this.#leadership.owner) return "go on";
    const { votes } = observer.line;
    const found = await quorumOf(quorum, clock, this.#over).catch((error: unknown) => {
      if (!this.#over.aborted) onTrouble("nodes", error);
      return null;
    });
    if (found === null) return "go on";
    onWell("nodes");
    const fleet = found.nodes === undefined ? "" : ` of ${found.nodes}`;
    if (votes >= found.needed && !this.#over.aborted)
      await this.#open(1, `${votes}${fleet} nodes found the dependency failing; ${found.needed} suffice`);
    return "go on";
  }

  async #waitOut(): Promise<Next> {
    const { view, clock, observer } = this.#office;
    const { word } = view;
    if (this.#voice.said === null && view.openForMs > 0)
      await this.#voice.say({ ...word, restMs: view.openForMs });
    while (view.openForMs > 0 && !this.#over.aborted) await sleep(clock, view.openForMs, this.#over);
    // One whose probe failed may be the only one to whom the dependency is lost: somebody else goes next.
    if (this.#over.aborted || (this.#probeFailed && observer.line.owners.length > 1)) return "over";
    const said = await this.#voice.say({
      ...word,
      state: "half-open",
      restMs: 0,
      reason: "the open time is over",
    });
    return said ? "go on" : "over";
  }

  async #probe(): Promise<Next> {
    const { view, slot, onProbed, onIdle } = this.#office;
    const { word } = view;
    if (this.#voice.said?.state !== "half-open")
      if (!(await this.#voice.say({ ...word, restMs: 0, reason: "another leader probes" }))) return "over";
    const verdict = await this.#verdict(slot.open(this.#leadership));
    slot.shut();
    if (verdict === null) return "over";
    if (verdict === "idle") {
      onIdle();
      return "over";
    }
    const stands = await this.#conclude(verdict, word.attempt);
    onProbed(stands ? verdict : "fenced", this.#leadership.term);
    if (verdict === "success" && stands) await this.#bidFarewell();
    return stands && verdict !== "success" ? "go on" : "over";
  }

  /** What the probe found; `idle` when nobody called for long enough and others stand; null when the term is over. */
  async #verdict(found: Promise<Verdict>): Promise<Verdict | "idle" | null> {
    const { slot, clock, observer, probeWaitMs, pollMs } = this.#office;
    const done = new AbortController();
    const ended = AbortSignal.any([done.signal, this.#over]);
    const idle = async (): Promise<"idle" | null> => {
      await sleep(clock, probeWaitMs, ended);
      while (!ended.aborted && (slot.isTaken || observer.line.owners.length < 2))
        await sleep(clock, pollMs, ended);
      return ended.aborted ? null : "idle";
    };
    try {
      return await Promise.race([found, idle()]);
    } finally {
      done.abort();
    }
  }

  /** Whether the verdict counts: it does not when somebody else may lead by now. */
  async #conclude(verdict: Verdict, attempt: number): Promise<boolean> {
    if (verdict === "excluded") return this.#leadership.isHeld();
    if (verdict === "success")
      return this.#voice.say({
        state: "closed",
        openMs: 0,
        restMs: 0,
        attempt: 0,
        reason: "a probe succeeded",
      });
    this.#probeFailed = true;
    return this.#open(attempt + 1, "a probe failed");
  }

  #open(attempt: number, reason: string): Promise<boolean> {
    const { openMs, random, view } = this.#office;
    const previousMs = attempt === 1 ? 0 : view.word.openMs;
    const drawnMs = Math.min(longestOpenMs, nextDelayMs(openMs, { retry: attempt, previousMs, random }));
    return this.#voice.say({ state: "open", openMs: drawnMs, restMs: drawnMs, attempt, reason });
  }

  /**
   * Stays until those who stood when the circuit was closed have heard of it and left: else the next in line would count
   * votes that were cast before. Not for long: one who does not hear is cut off, and will judge by itself.
   */
  async #bidFarewell(): Promise<void> {
    const { observer, clock, pollMs } = this.#office;
    const startedAt = clock.now();
    let before: ReadonlySet<string> | undefined;
    while (!this.#cut.aborted && elapsedMs(clock, startedAt) < 2 * pollMs) {
      if ((await orAborted(observer.look(), this.#cut)) === true) {
        const others = observer.line.owners.filter((owner) => owner !== this.#leadership.owner);
        before ??= new Set(others);
        if (others.every((owner) => before?.has(owner) !== true)) return;
      }
      await sleep(clock, pollMs / 10, this.#cut);
    }
  }
}
