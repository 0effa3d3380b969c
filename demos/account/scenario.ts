import type { Inspection } from "@leasehold/core";
import { Members } from "../shared/members.ts";
import { nowMs } from "../shared/now-ms.ts";
import type { Run } from "../shared/run.ts";
import { showLine } from "../shared/show-line.ts";
import { coordinatorAt } from "../shared/store.ts";
import type { Row } from "../shared/summary.ts";
import { accountName } from "./account.ts";
import { connectAccount } from "./connect-account.ts";
import { summarise, type Takeover } from "./summary.ts";
import worker, { type Job, type WorkerEvent, type WorkerMessage } from "./worker.ts";

type Opened = Extract<WorkerEvent, { kind: "opened" }>;

const names = ["worker-1", "worker-2", "worker-3", "worker-4", "worker-5", "worker-6"];
const initial = 1000;
const job: Job = { amount: 10, withdrawals: 8 };
/** How long the work between reading and writing takes. */
const workMs = 25;
/** In withdrawals: when one is killed, when one is frozen, and for how long. */
const [killAfter, freezeAfter, thawAfter] = [9, 18, 4];

/** Kills one worker, freezes another one, and thaws it when others have made withdrawals since. */
export async function scenario(run: Run): Promise<readonly Row[]> {
  const { timeline, store, ttlMs } = run;
  const account = await connectAccount(store.address);
  run.defer(() => account[Symbol.asyncDispose]());
  await account.create(initial);
  const observer = await coordinatorAt(store.address, { ttlMs });
  run.defer(() => observer.close());
  const look = (): Promise<Inspection> => observer.inspect(accountName);

  const events: WorkerEvent[] = [];
  const takeovers: Takeover[] = [];
  /** The last victim, until its successor has been granted. */
  let victim: { readonly by: Takeover["by"]; readonly name: string; readonly atMs: number } | undefined;
  let isKilled = false;
  let frozen: { readonly name: string; readonly withdrawalsThen: number; isThawed: boolean } | undefined;

  timeline.say("demo", `six workers, ${run.where}`);
  timeline.say(
    "demo",
    `each withdraws ${job.amount} from an account with ${initial}, ${job.withdrawals} times; ttl ${ttlMs / 1000} s`,
  );
  const workers = new Members<Job, WorkerMessage, WorkerEvent>(run, worker, { names, config: job }, hear);
  await run.until(() => events.length >= names.length);
  workers.sendAll("start");
  await run.orEnd(workers.ended);
  const found = await account.read();
  events.sort((a, b) => a.atMs - b.atMs);
  return summarise({ events, takeovers }, { initial, amount: job.amount, found });

  function hear(name: string, event: WorkerEvent): void {
    events.push(event);
    run.changed();
    if (event.kind === "granted") granted(name, event.token, event.atMs);
    if (event.kind === "opened") opened(name, event).catch(run.fail);
    if (event.kind === "withdrew") {
      const what = `withdrew ${job.amount}, token ${event.token}, balance ${event.balance}`;
      if (withdrawals() > names.length) timeline.uneventful(event.atMs, what);
      else timeline.say(name, what, event);
    }
    if (event.kind === "refused") {
      const look = event.stillHeld ? "" : " (its isHeld() said false; it wrote all the same)";
      timeline.say("guard", `REFUSED the late write of ${name}${look}`, { ...event, style: "green" });
      timeline.say("guard", event.why, { ...event, style: "green" });
    }
  }

  function granted(name: string, token: bigint, atMs: number): void {
    if (victim !== undefined) {
      const ms = atMs - victim.atMs;
      takeovers.push({ by: victim.by, ms });
      const since = `${(ms / 1000).toFixed(2)} s after ${victim.name} was ${victim.by === "kill" ? "killed" : "frozen"}`;
      victim = undefined;
      const what = `takes over with token ${token}, ${since} (ttl ${ttlMs / 1000} s)`;
      timeline.say(name, what, { atMs, style: "yellow" });
    } else if (withdrawals() < names.length) {
      timeline.say(name, `granted, token ${token}`, { atMs, style: "cyan" });
    }
  }

  async function opened(name: string, { token, balance }: Opened): Promise<void> {
    const made = withdrawals();
    if (made === 0) await showLine(run, look, names.length - 1);
    if (!isKilled && made >= killAfter) {
      isKilled = true;
      stopAt(name, "kill", `holds the lock (token ${token}) and has read the balance ${balance}`);
      return showLine(run, look);
    }
    if (frozen === undefined && takeovers.length === 1 && made >= freezeAfter) {
      frozen = { name, withdrawalsThen: made, isThawed: false };
      const next = balance - job.amount;
      stopAt(name, "freeze", `token ${token}: has read the balance ${balance}, is about to write ${next}`);
      return showLine(run, look);
    }
    await run.sleep(workMs);
    workers.send(name, "go on");
    thawWhenDue();
  }

  function stopAt(name: string, by: Takeover["by"], what: string): void {
    timeline.say(name, what);
    workers[by](name);
    victim = { by, name, atMs: nowMs() };
    timeline.say(name, workers.words[by], { style: by === "kill" ? "red" : "magenta" });
  }

  function thawWhenDue(): void {
    if (frozen === undefined || frozen.isThawed || withdrawals() < frozen.withdrawalsThen + thawAfter) return;
    frozen.isThawed = true;
    const what = `${workers.words.thaw}; goes on to write, with its old token`;
    timeline.say(frozen.name, what, { style: "magenta" });
    workers.thaw(frozen.name);
    workers.send(frozen.name, "go on");
  }

  function withdrawals(): number {
    return events.filter(({ kind }) => kind === "withdrew").length;
  }
}
