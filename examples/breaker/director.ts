import { setTimeout as sleep } from "node:timers/promises";
import { nowMs } from "../shared/now-ms.ts";
import type { Timeline } from "../shared/timeline.ts";
import type { Job } from "./crew.ts";
import type { NodeEvent } from "./node.ts";
import type { Stage } from "./stage.ts";
import type { History, Told } from "./verdict.ts";

/** How long what nothing happens in lasts, for one to watch. */
const quietMs = 400;

/** One node loses the dependency; then everybody does; then it is back. */
export class Director {
  readonly #stage: Stage;
  readonly #job: Job;
  readonly #timeline: Timeline;
  readonly #events: Told[] = [];
  #wake = (): void => {};

  constructor(stage: Stage, job: Job, timeline: Timeline) {
    this.#stage = stage;
    this.#job = job;
    this.#timeline = timeline;
  }

  /** Rejects when a node fails, or when it is not over within `withinMs`. */
  async play(withinMs: number): Promise<History> {
    const { crew, dependency } = this.#stage;
    const curfew = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => curfew.reject(new Error(`the example is not over after ${withinMs / 1000} s`)),
      withinMs,
    );
    const nodes = crew.start((node, event) => this.#hear({ ...event, node }));
    try {
      // The nodes end after the plot has dismissed them; one that ends in any other way ends the play.
      const [{ downAtMs, isLineEmpty }] = await Promise.race([
        Promise.all([this.#plot(), nodes]),
        curfew.promise,
      ]);
      const events = this.#events.toSorted((a, b) => a.atMs - b.atMs);
      return { events, arrivals: dependency.arrivals, downAtMs, isLineEmpty };
    } finally {
      clearTimeout(timer);
    }
  }

  async #plot(): Promise<Pick<History, "downAtMs" | "isLineEmpty">> {
    const { crew, dependency, coordinator } = this.#stage;
    const { nodes, share, pollMs } = this.#job;
    const [first = ""] = nodes;
    const quorum = Math.ceil(share * nodes.length);
    await this.#until(() => nodes.every((node) => this.#last(node, "ready")));
    this.#timeline.say(
      "fleet",
      `all call the dependency; ${quorum} of ${nodes.length} votes open the circuit`,
    );
    await sleep(quietMs);

    this.#timeline.say(first, "is cut off from the dependency, alone", { style: "red" });
    dependency.loseFor(first);
    await this.#until(() => this.#last(first, "voted"));
    await sleep(2 * pollMs + quietMs);
    this.#timeline.say("fleet", "the others go on calling: one vote is no quorum");
    dependency.recover();
    await this.#until(() => this.#last(first, "withdrawn"));
    await sleep(quietMs);

    this.#timeline.say("world", "THE DEPENDENCY FAILS, for everybody", { style: "red" });
    const downAtMs = nowMs();
    dependency.goDown();
    await this.#until(() => nodes.every((node) => this.#last(node, "fleet")?.to === "open"));
    await this.#until(() => this.#events.some((event) => event.kind === "probed"));
    await sleep(quietMs);
    this.#timeline.say("world", "the dependency is back", { style: "green" });
    dependency.recover();
    await this.#until(() => nodes.every((node) => this.#last(node, "fleet")?.to === "closed"));
    await sleep(quietMs);

    const { holders, line } = await coordinator.inspect("circuit:payments", { recipe: "election" });
    this.#timeline.say("fleet", "all are told to leave");
    crew.dismiss();
    return { downAtMs, isLineEmpty: holders.length + line.length === 0 };
  }

  #hear(event: Told): void {
    this.#events.push(event);
    const { node, atMs } = event;
    const say = (what: string, style: "yellow" | "magenta" | "dim" | "reset"): void =>
      this.#timeline.say(node, what, { atMs, style });
    if (event.kind === "own") say(`its own breaker: ${event.to} (${event.reason})`, "dim");
    if (event.kind === "voted") say("stands in line: a vote", "yellow");
    if (event.kind === "withdrawn") say("leaves the line", "dim");
    if (event.kind === "leading") say("is first in line: counts the votes, probes for all", "reset");
    if (event.kind === "probed") say(`HAS PROBED: ${event.outcome}`, "magenta");
    if (event.kind === "fleet") this.#hearOfFleet(event);
    this.#wake();
  }

  /** What five nodes see is told once: when the last of them sees it. */
  #hearOfFleet({ to, attempt, reason, atMs }: Extract<Told, { kind: "fleet" }>): void {
    const seen = this.#job.nodes.map((node) => this.#last(node, "fleet"));
    if (!seen.every((event) => event?.to === to && event.attempt === attempt)) return;
    const firstMs = Math.min(...seen.map((event) => event?.atMs ?? atMs));
    const what = `${to.toUpperCase()} at all five, within ${(atMs - firstMs).toFixed(0)} ms (${reason})`;
    this.#timeline.say("fleet", what, { atMs, style: "cyan" });
  }

  #last<Kind extends NodeEvent["kind"]>(node: string, kind: Kind): Extract<Told, { kind: Kind }> | undefined {
    return this.#events.findLast(
      (event): event is Extract<Told, { kind: Kind }> => event.node === node && event.kind === kind,
    );
  }

  /** Bounded by the play's curfew. */
  async #until(condition: () => unknown): Promise<void> {
    while (condition() === undefined || condition() === false)
      await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}
