import { Members } from "../shared/members.ts";
import { nowMs } from "../shared/now-ms.ts";
import type { Run } from "../shared/run.ts";
import { coordinatorAt } from "../shared/store.ts";
import type { Row } from "../shared/summary.ts";
import { Dependency } from "./dependency.ts";
import node, { type Job, type NodeConfig, type NodeEvent, type NodeMessage } from "./node.ts";
import { summarise, type Told } from "./summary.ts";

const names = ["host-1", "host-2", "host-3", "host-4", "host-5"];
const [first = ""] = names;
const job: Job = { nodes: names, share: 0.6, pollMs: 500, openMs: 800 };
/** How long what nothing happens in lasts, for one to watch. */
const quietMs = 400;

/** One node loses the dependency; then everybody does; then it is back. */
export async function scenario(run: Run): Promise<readonly Row[]> {
  const { timeline, store } = run;
  const events: Told[] = [];
  timeline.say("breaker", `five nodes, ${run.where}; looked at every ${job.pollMs} ms while not closed`);

  const observer = await coordinatorAt(store.address);
  run.defer(() => observer.close());
  const dependency = new Dependency();
  const { url, [Symbol.asyncDispose]: stopListening } = await dependency.listen();
  run.defer(stopListening);
  const nodes = new Members<NodeConfig, NodeMessage, NodeEvent>(
    run,
    node,
    { names, config: { ...job, url } },
    (name, event) => hear({ ...event, node: name }),
  );

  await run.until(() => names.every((name) => last(name, "ready")));
  const quorum = Math.ceil(job.share * names.length);
  timeline.say("fleet", `all call the dependency; ${quorum} of ${names.length} votes open the circuit`);
  await run.sleep(quietMs);

  timeline.say(first, "is cut off from the dependency, alone", { style: "red" });
  dependency.loseFor(first);
  await run.until(() => last(first, "voted"));
  await run.sleep(2 * job.pollMs + quietMs);
  timeline.say("fleet", "the others go on calling: one vote is no quorum");
  dependency.recover();
  await run.until(() => last(first, "withdrawn"));
  await run.sleep(quietMs);

  timeline.say("world", "THE DEPENDENCY FAILS, for everybody", { style: "red" });
  const downAtMs = nowMs();
  dependency.goDown();
  await run.until(() => names.every((name) => last(name, "fleet")?.to === "open"));
  await run.until(() => events.some(({ kind }) => kind === "probed"));
  await run.sleep(quietMs);
  timeline.say("world", "the dependency is back", { style: "green" });
  dependency.recover();
  await run.until(() => names.every((name) => last(name, "fleet")?.to === "closed"));
  await run.sleep(quietMs);

  const { holders, line } = await observer.inspect("circuit:payments", { recipe: "election" });
  timeline.say("fleet", "all are told to leave");
  nodes.sendAll("leave");
  await run.orEnd(nodes.ended);
  const history = {
    events: events.toSorted((a, b) => a.atMs - b.atMs),
    arrivals: dependency.arrivals,
    downAtMs,
    isLineEmpty: holders.length + line.length === 0,
  };
  return summarise(history, job, run.ttlMs);

  function hear(event: Told): void {
    events.push(event);
    const { node: name, atMs } = event;
    const say = (what: string, style: "yellow" | "magenta" | "dim" | "reset"): void =>
      timeline.say(name, what, { atMs, style });
    if (event.kind === "own") say(`its own breaker: ${event.to} (${event.reason})`, "dim");
    if (event.kind === "voted") say("stands in line: a vote", "yellow");
    if (event.kind === "withdrawn") say("leaves the line", "dim");
    if (event.kind === "leading") say("is first in line: counts the votes, probes for all", "reset");
    if (event.kind === "probed") say(`HAS PROBED: ${event.outcome}`, "magenta");
    if (event.kind === "fleet") hearOfFleet(event);
    run.changed();
  }

  /** What five nodes see is told once: when the last of them sees it. */
  function hearOfFleet({ to, attempt, reason, atMs }: Extract<Told, { kind: "fleet" }>): void {
    const seen = names.map((name) => last(name, "fleet"));
    if (!seen.every((event) => event?.to === to && event.attempt === attempt)) return;
    const firstMs = Math.min(...seen.map((event) => event?.atMs ?? atMs));
    const what = `${to.toUpperCase()} at all five, within ${(atMs - firstMs).toFixed(0)} ms (${reason})`;
    timeline.say("fleet", what, { atMs, style: "cyan" });
  }

  function last<Kind extends NodeEvent["kind"]>(
    name: string,
    kind: Kind,
  ): Extract<Told, { kind: Kind }> | undefined {
    return events.findLast(
      (event): event is Extract<Told, { kind: Kind }> => event.node === name && event.kind === kind,
    );
  }
}
