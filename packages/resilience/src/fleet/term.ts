import { again, elapsedMs, isLeaseholdError, sleep, within, type Leadership } from "@leasehold/core";

import type { Verdict } from "../circuit/verdict.ts";
import { nextDelayMs } from "../retry/backoff.ts";
import type { FleetContext } from "./context.ts";
import { quorumOf } from "./line.ts";
import { encodeProclamation, longestOpenMs, type Proclamation } from "./messages.ts";
import type { Observer } from "./observer.ts";
import type { ProbeSlot } from "./probe-slot.ts";
import type { Lesson, View } from "./view.ts";

/** What every leader of a circuit needs. */
export interface Office extends FleetContext {
  readonly view: View;
  readonly observer: Observer;
  readonly slot: ProbeSlot;
  /** The leader's own word has changed the view. */
  readonly onWord: (lesson: Lesson) => void;
  /** No call came to probe with: the leadership is passed on. */
  readonly onIdle: () => void;
}

type Next = "go on" | "over";

/**
 * What a leader does, from its election to its resignation.
 *
 *     closed ──(enough votes)─────────> open
 *     open ────(the open time is over)─> half-open
 *     half-open ──(the probe failed)───> open, for longer: another node leads next, if one stands
 *     half-open ──(it succeeded)───────> closed: the term ends when the others have heard of it
 *
 * Only a leader makes transitions, and each is a proclamation. The store takes it from the node
 * that leads and from no other: that is what fences a leader that was paused.
 */
export class Term {
  readonly #leadership: Leadership;
  readonly #office: Office;
  /** Ends the term at its next step. */
  readonly #over: AbortSignal;
  /**
   * Ends the term at once. While the circuit is being closed nothing else does: the node may have
   * no reason to stand any more, and goes on.
   */
  readonly #cut: AbortSignal;
  /** What this leader proclaimed last. */
  #said: Proclamation | null = null;
  #hasCounted = false;
  #hasFailedProbe = false;

  constructor(leadership: Leadership, withdrawn: AbortSignal, office: Office) {
    this.#leadership = leadership;
    this.#office = office;
    this.#cut = AbortSignal.any([leadership.signal, office.closing]);
    this.#over = AbortSignal.any([this.#cut, withdrawn]);
  }

  /**
   * Resolves when the leadership has been given back, or the store could not be told. Rejects only
   * with what a backoff of the caller's own throws.
   */
  async serve(): Promise<void> {
    this.#office.emit({ type: "leading", term: this.#leadership.term });
    try {
      for (let next: Next = "go on"; next === "go on" && !this.#over.aborted;) next = await this.#step();
    } finally {
      this.#office.slot.shut();
      await this.#leadership.resign().catch(() => undefined);
    }
  }

  /** Goes on from what this node has observed: the last leader may have died at any point. */
  #step(): Promise<Next> {
    const { view } = this.#office;
    // A word that is too old to be believed governs no node any more: votes are counted anew.
    if (!view.governs) return this.#count();
    return view.word.state === "open" ? this.#waitOut() : this.#probe();
  }

  async #count(): Promise<Next> {
    const { observer, health, settings } = this.#office;
    // The line as it was before this node led says nothing. Later looks come by themselves.
    const look = this.#hasCounted ? observer.nextLook() : observer.look();
    this.#hasCounted = true;
    if (!(await this.#unlessAborted(look, this.#over))) return "go on";
    const { votes, owners } = observer.line;
    if (owners[0] !== this.#leadership.owner) return "go on";
    const quorum = await quorumOf(settings.quorum, settings.clock, this.#over).catch((error: unknown) => {
      if (!this.#over.aborted) health.failed("nodes", error);
      return null;
    });
    if (quorum === null) return "go on";
    health.restored("nodes");
    const { needed, nodes } = quorum;
    if (votes < needed || this.#over.aborted) return "go on";
    const fleet = nodes === undefined ? "" : ` of ${nodes}`;
    await this.#open(1, `${votes}${fleet} nodes found the dependency failing; ${needed} suffice`);
    return "go on";
  }

  async #waitOut(): Promise<Next> {
    const { view, observer, settings } = this.#office;
    const { word } = view;
    if (this.#said === null && view.openForMs > 0) await this.#say({ ...word, restMs: view.openForMs });
    while (view.openForMs > 0 && !this.#over.aborted) await sleep(settings.clock, view.openForMs, this.#over);
    // The dependency may be lost for this node alone: after a failed probe another node goes next.
    if (this.#over.aborted || (this.#hasFailedProbe && observer.line.owners.length > 1)) return "over";
    const reason = "the open time is over";
    return (await this.#say({ ...word, state: "half-open", restMs: 0, reason })) ? "go on" : "over";
  }

  async #probe(): Promise<Next> {
    const { view, slot, emit, onIdle } = this.#office;
    const { word } = view;
    if (this.#said?.state !== "half-open")
      if (!(await this.#say({ ...word, restMs: 0, reason: "another leader probes" }))) return "over";
    const verdict = await this.#verdict(slot.open(this.#leadership));
    slot.shut();
    if (verdict === "idle") onIdle();
    if (verdict === null || verdict === "idle") return "over";
    const counts = await this.#conclude(verdict, word.attempt);
    emit({ type: "probed", outcome: counts ? verdict : "fenced", term: this.#leadership.term });
    if (!counts) return "over";
    if (verdict !== "success") return "go on";
    await this.#awaitDepartures();
    return "over";
  }

  /** `idle`: no call came for long enough, and others stand. Null: the term is over. */
  async #verdict(found: Promise<Verdict>): Promise<Verdict | "idle" | null> {
    const { slot, observer, settings } = this.#office;
    const { clock, probeWaitMs, pollMs } = settings;
    const done = new AbortController();
    const woken = AbortSignal.any([done.signal, this.#over]);
    let verdict = null as Verdict | null;
    void found.then((each) => {
      verdict = each;
      done.abort();
    });
    for (let waitMs = probeWaitMs; ; waitMs = pollMs) {
      await sleep(clock, waitMs, woken);
      if (woken.aborted) return verdict;
      if (!slot.isTaken && observer.line.owners.length > 1) return "idle";
    }
  }

  /** Whether the verdict counts: it does not when another node may lead by now. */
  async #conclude(verdict: Verdict, attempt: number): Promise<boolean> {
    if (verdict === "excluded") return this.#leadership.isHeld();
    if (verdict === "success")
      return this.#say({ state: "closed", openMs: 0, restMs: 0, attempt: 0, reason: "a probe succeeded" });
    this.#hasFailedProbe = true;
    return this.#open(attempt + 1, "a probe failed");
  }

  #open(attempt: number, reason: string): Promise<boolean> {
    const { view, settings } = this.#office;
    const previousMs = attempt === 1 ? 0 : view.word.openMs;
    const step = { retry: attempt, previousMs, random: settings.random };
    const openMs = Math.min(longestOpenMs, nextDelayMs(settings.openMs, step));
    return this.#say({ state: "open", openMs, restMs: openMs, attempt, reason });
  }

  /** Proclaims until the store has answered. False: this node led no longer: nothing changed. */
  async #say(word: Omit<Proclamation, "sequence">): Promise<boolean> {
    const { view, health, settings, onWord } = this.#office;
    const { clock, random } = settings;
    const leadership = this.#leadership;
    const signal = this.#cut;
    if (signal.aborted) return false;
    const said = { ...word, sequence: (this.#said?.sequence ?? 0) + 1 };
    const isPassing = (error: unknown): boolean => {
      if (isLeaseholdError(error, "LEASE_LOST")) return false;
      health.failed("line", error);
      return true;
    };
    try {
      const text = encodeProclamation(said);
      const tries = { clock, random, firstMs: 100, longestMs: 2_000, signal, isPassing };
      await again(() => leadership.proclaim(text), tries);
    } catch {
      return false;
    }
    this.#said = said;
    onWord(view.said(leadership.term, said, () => leadership.isHeld()));
    return true;
  }

  /**
   * Stays until the nodes that stood when the circuit was closed have heard of it and left. Else
   * the next in line would count votes that were cast before. It does not stay for long: a node
   * that does not hear is cut off, and will judge by itself.
   */
  async #awaitDepartures(): Promise<void> {
    const { observer, settings } = this.#office;
    const { clock, pollMs } = settings;
    const startedAt = clock.now();
    let before: ReadonlySet<string> | undefined;
    while (!this.#cut.aborted && elapsedMs(clock, startedAt) < 2 * pollMs) {
      if (await this.#unlessAborted(observer.look(), this.#cut)) {
        const others = observer.line.owners.filter((owner) => owner !== this.#leadership.owner);
        before ??= new Set(others);
        if (others.every((owner) => before?.has(owner) !== true)) return;
      }
      await sleep(clock, pollMs / 10, this.#cut);
    }
  }

  /** What a look says, or false as soon as the signal aborts. */
  #unlessAborted(look: Promise<boolean>, signal: AbortSignal): Promise<boolean> {
    return within(look, { clock: this.#office.settings.clock, signal }, () => false);
  }
}
