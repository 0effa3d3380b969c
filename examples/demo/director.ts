import { setTimeout as sleep } from "node:timers/promises";
import type { Coordinator } from "@leasehold/core";
import { accountName, type Crew, type Job } from "./crew.ts";
import { nowMs } from "../shared/now-ms.ts";
import type { Timeline } from "../shared/timeline.ts";
import type { Withdrawal } from "./withdrawal.ts";
import type { History, Takeover } from "./verdict.ts";
import type { WorkerEvent } from "./worker.ts";

type Opened = Extract<WorkerEvent, { kind: "opened" }>;

export interface Stage {
  readonly crew: Crew;
  readonly job: Job;
  /** Looks at the line; takes no part in it. */
  readonly coordinator: Coordinator;
  readonly timeline: Timeline<Withdrawal>;
}

/** How long the work between reading and writing takes. */
const workMs = 25;
const [killAfter, freezeAfter, thawAfter] = [9, 18, 4];

/** Decides who is killed and who is frozen, tells the timeline, and keeps what the table at the end needs. */
export class Director {
  readonly #stage: Stage;
  readonly #events: (WorkerEvent & { readonly worker: string })[] = [];
  readonly #takeovers: Takeover[] = [];
  /** Who was struck last, when its successor has not been granted yet. */
  #struck: { readonly by: "kill" | "freeze"; readonly worker: string; readonly atMs: number } | undefined;
  #frozen: { readonly worker: string; readonly withdrawalsThen: number } | undefined;
  #killed: string | undefined;
  #thawed = false;
  readonly #failure = Promise.withResolvers<never>();

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#failure.promise.catch(() => undefined);
  }

  /** Runs the play to its end. Rejects when a worker fails, or when it is not over within `withinMs`. */
  async play(withinMs: number): Promise<History> {
    const { crew } = this.#stage;
    const curfew = setTimeout(
      () => this.#failure.reject(new Error(`the demo is not over after ${withinMs / 1000} s`)),
      withinMs,
    );
    try {
      await Promise.race([crew.start((worker, event) => this.#hear(worker, event)), this.#failure.promise]);
    } finally {
      clearTimeout(curfew);
    }
    return { events: this.#events.sort((a, b) => a.atMs - b.atMs), takeovers: this.#takeovers };
  }

  #hear(worker: string, event: WorkerEvent): void {
    const { timeline } = this.#stage;
    this.#events.push({ ...event, worker });
    switch (event.kind) {
      case "granted":
        this.#granted(worker, event.token, event.atMs);
        break;
      case "opened":
        this.#opened(worker, event).catch((error: unknown) => this.#failure.reject(error));
        break;
      case "withdrew":
        if (this.#withdrawals() <= this.#stage.job.workers.length)
          timeline.say(worker, `withdrew ${this.#stage.job.amount}, balance ${event.balance}`, event);
        else timeline.uneventful(event.atMs, event);
        break;
      case "refused": {
        const look = event.stillHeld ? "" : " (its isHeld() said false; it wrote all the same)";
        timeline.say("guard", `REFUSED the late write of ${worker}${look}`, { ...event, style: "green" });
        timeline.say("guard", event.why, { ...event, style: "green" });
        break;
      }
      case "finished":
        break;
    }
  }

  #granted(worker: string, token: bigint, atMs: number): void {
    const { timeline, job } = this.#stage;
    if (this.#struck !== undefined) {
      const { by, worker: victim, atMs: struckAtMs } = this.#struck;
      this.#struck = undefined;
      this.#takeovers.push({ by, ms: atMs - struckAtMs });
      const seconds = ((atMs - struckAtMs) / 1000).toFixed(2);
      const what = `takes over with token ${token}, ${seconds} s after ${victim} was ${by === "kill" ? "killed" : "frozen"}`;
      timeline.say(worker, `${what} (ttl ${job.ttlMs / 1000} s)`, { atMs, style: "yellow" });
    } else if (this.#withdrawals() < job.workers.length) {
      timeline.say(worker, `granted, token ${token}`, { atMs, style: "cyan" });
    }
  }

  async #opened(worker: string, { token, balance }: Opened): Promise<void> {
    const { crew } = this.#stage;
    const withdrawals = this.#withdrawals();
    if (withdrawals === 0) await this.#showLine({ whole: true });
    if (this.#killed === undefined && withdrawals >= killAfter) {
      this.#killed = worker;
      this.#strike("kill", worker, `holds the lock (token ${token}) and has read the balance ${balance}`);
      await this.#showLine();
    } else if (this.#frozen === undefined && this.#takeovers.length === 1 && withdrawals >= freezeAfter) {
      this.#frozen = { worker, withdrawalsThen: withdrawals };
      const next = balance - this.#stage.job.amount;
      this.#strike(
        "freeze",
        worker,
        `token ${token}: has read the balance ${balance}, is about to write ${next}`,
      );
      await this.#showLine();
    } else {
      await sleep(workMs);
      crew.goOn(worker);
      this.#thawWhenDue();
    }
  }

  #strike(by: "kill" | "freeze", worker: string, what: string): void {
    const { crew, timeline } = this.#stage;
    timeline.say(worker, what);
    crew[by](worker);
    this.#struck = { by, worker, atMs: nowMs() };
    timeline.say(worker, crew.words[by], { style: by === "kill" ? "red" : "magenta" });
  }

  #thawWhenDue(): void {
    const { crew, timeline } = this.#stage;
    if (this.#frozen === undefined || this.#thawed) return;
    if (this.#withdrawals() < this.#frozen.withdrawalsThen + thawAfter) return;
    this.#thawed = true;
    timeline.say(this.#frozen.worker, `${crew.words.thaw}; goes on to write, with its old token`, {
      style: "magenta",
    });
    crew.thaw(this.#frozen.worker);
  }

  #withdrawals(): number {
    return this.#events.filter(({ kind }) => kind === "withdrew").length;
  }

  /** Who waits, by the store's word; with `whole`, once all the others stand in line. */
  async #showLine(options: { whole?: boolean } = {}): Promise<void> {
    const { coordinator, job, timeline } = this.#stage;
    let { line } = await coordinator.inspect(accountName);
    while (options.whole === true && line.length < job.workers.length - 1) {
      await sleep(10);
      ({ line } = await coordinator.inspect(accountName));
    }
    const names = line.map(({ origin }) => origin?.metadata["worker"] ?? "somebody");
    timeline.say("line", `${names.join(", ")} wait in this order`, { style: "cyan" });
  }
}
