import type { Inspection, Leader } from "@leasehold/core";
import { Members } from "../shared/members.ts";
import { nowMs } from "../shared/now-ms.ts";
import type { Run } from "../shared/run.ts";
import { showLine } from "../shared/show-line.ts";
import { coordinatorAt } from "../shared/store.ts";
import type { Row } from "../shared/summary.ts";
import candidate, { electionName, type CandidateEvent, type CandidateMessage } from "./candidate.ts";
import { summarise } from "./summary.ts";

type Told = CandidateEvent & { readonly name: string };

const names = ["host-1", "host-2", "host-3"];
/** How long each term lasts, for one to watch. */
const termMs = 700;

/** Kills the leader, watches the takeover, lets the next one resign, watches the hand-over. */
export async function scenario(run: Run): Promise<readonly Row[]> {
  const { timeline, ttlMs } = run;
  const events: Told[] = [];
  const seen: (Leader | null)[] = [];
  timeline.say("leader", `three candidates, ${run.where}; ttl ${ttlMs / 1000} s`);

  const observer = await coordinatorAt(run.store.address);
  const observing = observe();
  run.defer(() => observer.close());
  run.defer(() => observing);
  const look = (): Promise<Inspection> => observer.inspect(electionName, { recipe: "election" });
  const candidates = new Members<null, CandidateMessage, CandidateEvent>(
    run,
    candidate,
    { names, config: null },
    (name, event) => hear({ ...event, name }),
  );

  const first = await elected(0);
  await showLine(run, look, 2);
  await run.sleep(termMs);

  candidates.kill(first.name);
  const killedAtMs = nowMs();
  timeline.say(first.name, candidates.words.kill, { style: "red" });
  const second = await elected(1);
  const takeoverMs = second.atMs - killedAtMs;
  timeline.say(
    second.name,
    `takes over, ${(takeoverMs / 1000).toFixed(2)} s after the kill (ttl ${ttlMs / 1000} s)`,
    { atMs: second.atMs, style: "yellow" },
  );
  await showLine(run, look, 1);
  await run.sleep(termMs);

  timeline.say(second.name, "resigns: ends its work, then hands over", { style: "magenta" });
  const resignedAtMs = nowMs();
  candidates.send(second.name, "resign");
  const third = await elected(2);
  const handOverMs = third.atMs - resignedAtMs;
  timeline.say(third.name, `leads, ${handOverMs.toFixed(1)} ms after the resignation`, {
    atMs: third.atMs,
    style: "yellow",
  });
  await showLine(run, look, 1);
  await run.sleep(termMs);

  timeline.say("leader", "all are told to leave");
  candidates.sendAll("leave");
  await run.orEnd(candidates.ended);
  await run.until(() => seen.at(-1) === null);
  return summarise(
    { events: events.toSorted((a, b) => a.atMs - b.atMs), seen, takeoverMs, handOverMs },
    ttlMs,
  );

  function hear(event: Told): void {
    events.push(event);
    const { name, kind, term, atMs } = event;
    if (kind === "elected") timeline.say(name, `elected, term ${term}`, { atMs, style: "cyan" });
    if (kind === "stepped down") timeline.say(name, `has ended its work of term ${term}`, { atMs });
    run.changed();
  }

  async function elected(index: number): Promise<Told> {
    return run.until(() => events.filter(({ kind }) => kind === "elected")[index]);
  }

  async function observe(): Promise<void> {
    const election = observer.election(electionName, { candidate: "observer" });
    for await (const leader of election.observe({ signal: run.signal })) {
      seen.push(leader);
      const what = leader === null ? "nobody leads" : `${leader.candidate} leads, at ${leader.value}`;
      timeline.say("observer", `sees: ${what}`, { style: "dim" });
      run.changed();
    }
  }
}
