import type { Clock, Coordinator, Leader, Random } from "@leasehold/core";

import { follow, Poll } from "./poll.ts";
import { lineOf, type Line } from "./quorum.ts";
import type { Lesson, SharedView } from "./shared-view.ts";
import { unreadable } from "./text.ts";

export interface ObserverOptions {
  readonly coordinator: Coordinator;
  /** The election's name. */
  readonly election: string;
  readonly node: string;
  readonly view: SharedView;
  readonly clock: Clock;
  readonly random: Random;
  readonly pollMs: number;
  readonly signal: AbortSignal;
  /** Whether to look now and then, although nothing was heard. */
  readonly isWanted: () => boolean;
  /** Told after each look; `error`: the store did not answer, or holds what cannot be read. */
  readonly onLook: (lesson: Lesson, error: Error | null) => void;
}

const nobody: Line = { votes: 0, standbys: 0, owners: [], nodes: [] };

/**
 * Keeps the view of the circuit's line. Pushed changes say when to look; a look says what is so. While the circuit is
 * closed, nobody votes and nothing is heard, it reads nothing; else it also looks every `pollMs`, since a push may be lost.
 */
export class Observer {
  readonly #options: ObserverOptions;
  readonly #poll: Poll;
  #lesson: Lesson = "nothing";
  #looked = Promise.withResolvers<boolean>();
  /** The line, as the last look showed it. */
  line: Line = nobody;

  constructor(options: ObserverOptions) {
    this.#options = options;
    const { clock, random, pollMs, signal } = options;
    this.#poll = new Poll(() => this.#look(), {
      clock,
      random,
      periodMs: pollMs,
      signal,
      isWanted: options.isWanted,
      onRead: (error) => {
        const lesson = error === null ? this.#lesson : "nothing";
        const malformed = lesson === "malformed" ? unreadable("a leader's word") : null;
        options.onLook(lesson, error ?? malformed);
        this.#looked.resolve(error === null);
        this.#looked = Promise.withResolvers();
      },
    });
  }

  /** Resolves when the observation has ended. */
  async watch(): Promise<void> {
    const { coordinator, election, node, signal } = this.#options;
    const changes = (): AsyncIterable<Leader | null> =>
      coordinator.election(election, { candidate: node }).observe({ signal });
    await follow(changes, (leader) => this.#heard(leader), this.#options);
  }

  /** Resolves after a look that began at this call or later, and says whether it saw anything. Never rejects. */
  look(): Promise<boolean> {
    return this.#poll.now();
  }

  /** As `look`, after the next one, whoever asked for it. */
  nextLook(): Promise<boolean> {
    return this.#looked.promise;
  }

  /** There may be a reason to look every now and then. */
  arm(): void {
    this.#poll.arm();
  }

  /** How far this node is from leading, as the last look showed it; -1 when it does not stand. */
  get place(): number {
    return this.line.nodes.indexOf(this.#options.node);
  }

  #heard(leader: Leader | null): void {
    const { view } = this.#options;
    // Of a closed circuit there is nothing to learn from a vacancy, or from a leader that only counts votes.
    if (view.word.state === "closed" && (leader === null || leader.value === "")) return;
    void this.#poll.now();
  }

  async #look(): Promise<() => void> {
    const { coordinator, election, view, clock } = this.#options;
    const startedAt = clock.now();
    const { version } = view;
    const inspection = await coordinator.inspect(election, { recipe: "election" });
    return () => {
      this.line = lineOf(inspection);
      this.#lesson = view.saw(inspection, startedAt, version);
    };
  }
}
