import { isLeaseholdError, sleep, type Clock, type Leadership, type Random } from "@leasehold/core";

import type { Trouble } from "./fleet-event.ts";
import { encodeProclamation, type Proclamation } from "./proclamation.ts";
import type { Lesson, SharedView } from "./shared-view.ts";

export interface VoiceOptions {
  readonly view: SharedView;
  readonly clock: Clock;
  readonly random: Random;
  /** The leader's own word has changed the view. */
  readonly onWord: (lesson: Lesson) => void;
  readonly onTrouble: (what: Trouble, error: unknown) => void;
}

/** What a leader proclaims in its term: each word numbered, and said until the store has answered. */
export class Voice {
  readonly #leadership: Leadership;
  readonly #cut: AbortSignal;
  readonly #options: VoiceOptions;
  #said: Proclamation | null = null;

  /** `cut`: ends what is being said. */
  constructor(leadership: Leadership, cut: AbortSignal, options: VoiceOptions) {
    this.#leadership = leadership;
    this.#cut = cut;
    this.#options = options;
  }

  /** The last word of this term. */
  get said(): Proclamation | null {
    return this.#said;
  }

  /** False: it was not heard, or this node led no longer when it was: nothing is known to have changed. */
  async say(word: Omit<Proclamation, "sequence">): Promise<boolean> {
    const { view, clock, random, onWord, onTrouble } = this.#options;
    const said = { ...word, sequence: (this.#said?.sequence ?? 0) + 1 };
    const text = encodeProclamation(said);
    for (let pauseMs = 100; !this.#cut.aborted; pauseMs = Math.min(2 * pauseMs, 2_000)) {
      try {
        await this.#leadership.proclaim(text);
        this.#said = said;
        onWord(view.said(this.#leadership.term, said, () => this.#leadership.isHeld()));
        return true;
      } catch (error) {
        if (isLeaseholdError(error, "LEASE_LOST")) return false;
        onTrouble("line", error);
        await sleep(clock, pauseMs * (0.5 + random.fraction()), this.#cut);
      }
    }
    return false;
  }
}
