import { setTimeout as sleep } from "node:timers/promises";
import type { Leader } from "@leasehold/core";
import { nowMs } from "../shared/now-ms.ts";
import type { Timeline } from "../shared/timeline.ts";
import { electionName, type CandidateEvent } from "./candidate.ts";
import type { Job } from "./crew.ts";
import type { Stage } from "./stage.ts";
import type { History } from "./verdict.ts";

type Told = CandidateEvent & { readonly candidate: string };

/** How long each term lasts, for one to watch. */
const termMs = 700;

/** Kills the leader, watches the takeover, lets the next one resign, watches the hand-over. */
export class Director {
  readonly #stage: Stage;
  readonly #job: Job;
  readonly #timeline: Timeline;
  readonly #events: Told[] = [];
  readonly #seen: (Leader | null)[] = [];
  #wake = (): void => {};

  constructor(stage: Stage, job: Job, timeline: Timeline) {
    this.#stage = stage;
    this.#job = job;
    this.#timeline = timeline;
  }

  /** Rejects when a candidate fails, or when it is not over within `withinMs`. */
  async play(withinMs: number): Promise<History> {
    const { crew } = this.#stage;
    const over = new AbortController();
    const curfew = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => curfew.reject(new Error(`the example is not over after ${withinMs / 1000} s`)),
      withinMs,
    );
    const observing = this.#observe(over.signal);
    const candidates = crew.start((candidate, event) => this.#hear({ ...event, candidate }));
    try {
      // The candidates end after the plot has dismissed them; one that ends in any other way ends the play.
      const played = Promise.all([this.#plot(), candidates]);
      const [{ takeoverMs, handOverMs }] = await Promise.race([played, curfew.promise]);
      await this.#until(() => this.#seen.at(-1) === null);
      const events = this.#events.toSorted((a, b) => a.atMs - b.atMs);
      return { events, seen: this.#seen, takeoverMs, handOverMs };
    } finally {
      clearTimeout(timer);
      over.abort();
      await observing;
    }
  }

  async #plot(): Promise<{ takeoverMs: number; handOverMs: number }> {
    const { crew } = this.#stage;
    const first = await this.#elected(0);
    await this.#showLine(2);
    await sleep(termMs);

    crew.kill(first.candidate);
    const killedAtMs = nowMs();
    this.#timeline.say(first.candidate, crew.killed, { style: "red" });
    const second = await this.#elected(1);
    const takeoverMs = second.atMs - killedAtMs;
    this.#timeline.say(
      second.candidate,
      `takes over, ${(takeoverMs / 1000).toFixed(2)} s after the kill (ttl ${this.#job.ttlMs / 1000} s)`,
      { atMs: second.atMs, style: "yellow" },
    );
    await this.#showLine(1);
    await sleep(termMs);

    const resignedAtMs = nowMs();
    this.#timeline.say(second.candidate, "resigns: ends its work, then hands over", { style: "magenta" });
    crew.resign(second.candidate);
    const third = await this.#elected(2);
    const handOverMs = third.atMs - resignedAtMs;
    this.#timeline.say(third.candidate, `leads, ${handOverMs.toFixed(1)} ms after the resignation`, {
      atMs: third.atMs,
      style: "yellow",
    });
    await this.#showLine(1);
    await sleep(termMs);
    this.#timeline.say("leader", "all are told to leave");
    crew.dismiss();
    return { takeoverMs, handOverMs };
  }

  #hear(event: Told): void {
    this.#events.push(event);
    const { candidate, kind, term, atMs } = event;
    if (kind === "elected") this.#timeline.say(candidate, `elected, term ${term}`, { atMs, style: "cyan" });
    if (kind === "stepped down")
      this.#timeline.say(candidate, `has ended its work of term ${term}`, { atMs });
    this.#wake();
  }

  async #observe(signal: AbortSignal): Promise<void> {
    const election = this.#stage.coordinator.election(electionName, { candidate: "observer" });
    for await (const leader of election.observe({ signal })) {
      this.#seen.push(leader);
      const what = leader === null ? "nobody leads" : `${leader.candidate} leads, at ${leader.value}`;
      this.#timeline.say("observer", `sees: ${what}`, { style: "dim" });
      this.#wake();
    }
  }

  async #elected(index: number): Promise<Told> {
    let found: Told | undefined;
    await this.#until(
      () => (found = this.#events.filter(({ kind }) => kind === "elected")[index]) !== undefined,
    );
    if (found === undefined) throw new Error("unreachable");
    return found;
  }

  /** Bounded by the play's curfew. */
  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  /** Who waits, by the store's word, once so many do. */
  async #showLine(count: number): Promise<void> {
    const look = (): ReturnType<Stage["coordinator"]["inspect"]> =>
      this.#stage.coordinator.inspect(electionName, { recipe: "election" });
    let { line } = await look();
    while (line.length < count) {
      await sleep(10);
      ({ line } = await look());
    }
    const names = line.map(({ origin }) => origin?.metadata["candidate"] ?? "somebody");
    const verb = names.length === 1 ? "waits" : "wait in this order";
    this.#timeline.say("line", `${names.join(", ")} ${verb}`, { style: "cyan" });
  }
}
