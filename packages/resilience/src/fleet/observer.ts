import type { Leader } from "@leasehold/core";

import type { FleetContext } from "./context.ts";
import { lineOf, type Line } from "./line.ts";
import { unreadable } from "./messages.ts";
import type { Lesson, View } from "./view.ts";
import { Watch } from "./watch.ts";

/**
 * Keeps the view of the circuit's line. A push says when to look, and the look says what is so.
 * While the circuit is closed, nobody votes and no push comes, the store is asked nothing.
 */
export class Observer extends Watch<Leader | null> {
  readonly #view: View;
  readonly #onLook: (lesson: Lesson) => void;
  /** The line, as the last look showed it. */
  line: Line = { votes: 0, standbys: 0, owners: [], nodes: [] };

  constructor(context: FleetContext, view: View, onLook: (lesson: Lesson) => void) {
    super(context);
    this.#view = view;
    this.#onLook = onLook;
  }

  /** How many claims stood before this node's at the last look; -1 when it did not stand. */
  get place(): number {
    return this.line.nodes.indexOf(this.context.settings.node);
  }

  protected changes(): AsyncIterable<Leader | null> {
    const { election, closing: signal } = this.context;
    return election.observe({ signal });
  }

  protected heard(leader: Leader | null): void {
    // Of a closed circuit a vacancy tells nothing, nor does a leader that only counts votes.
    if (this.#view.word.state === "closed" && (leader === null || leader.value === "")) return;
    void this.look();
  }

  protected async read(): Promise<() => void> {
    const { coordinator, election, health, settings } = this.context;
    const startedAt = settings.clock.now();
    const { version } = this.#view;
    const inspection = await coordinator.inspect(election.name, { recipe: "election" });
    return () => {
      this.line = lineOf(inspection);
      const lesson = this.#view.saw(inspection, startedAt, version);
      if (lesson === "malformed") health.failed("line", unreadable("a leader's word"));
      else health.restored("line");
      this.#onLook(lesson);
    };
  }

  protected failed(error: unknown): void {
    this.context.health.failed("line", error);
    this.#onLook("nothing");
  }

  protected isWanted(): boolean {
    return this.context.isAlert();
  }
}
