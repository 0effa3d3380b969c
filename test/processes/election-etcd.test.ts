import { Etcd3 } from "etcd3";
import { expect, test, type TestContext } from "vitest";

import { startEtcd, type EtcdServer } from "../servers/index.ts";
import { ElectionScenario, seenBy } from "./election-scenario.ts";
import { checkUnstalled, expectWithin, unlessStalled } from "../stall/index.ts";
import { waitUntil } from "../servers/wait-until.ts";

/** Long beside an election among members that share two busy cores: that costs nobody its term. */
const ttlMs = 5_000;

/** Which member leads the cluster, by its own word. */
async function leadingMember(cluster: EtcdServer): Promise<number> {
  for (const [index, host] of cluster.hosts.entries()) {
    const client = new Etcd3({ hosts: host });
    const status = await client.maintenance.status().finally(() => client.close());
    if (status.leader === status.header.member_id) return index;
  }
  throw new Error("no member leads");
}

test("etcd: a leader that dies together with the cluster's own is replaced within three ttls", async ({
  skip,
}) => {
  await unlessStalled(ttlMs / 2, () => expectFailover(skip));
});

async function expectFailover(skip: TestContext["skip"]): Promise<void> {
  const startedAtNs = process.hrtime.bigint();
  await using cluster = await startEtcd({ members: 3 });
  skip(!cluster.canSabotage, "the servers are not ours to kill");
  await using scenario = await ElectionScenario.open(
    { kind: "etcd", hosts: cluster.hosts },
    { ttlMs, observers: 2 },
  );
  await Promise.all([scenario.add(), scenario.add(), scenario.add()]);
  await scenario.linedUp();
  const first = await scenario.termAfter(0n);
  await scenario.serves(first, 5);
  const [member] = [cluster.members[await leadingMember(cluster)]];

  const [killedAtNs] = await Promise.all([scenario.kill(first.leader), member!.kill()]);
  const second = await scenario.termAfter(first.term);
  const tookMs = expectWithin("the failover", 3 * ttlMs, { fromNs: killedAtNs, toNs: second.atNs });
  console.log(`etcd leader and elected leader killed together, ttl ${ttlMs} ms: ${Math.round(tookMs)} ms`);

  // A change of the cluster's leader alone costs nobody its term; two members that are left would
  // not survive another.
  await member!.start();
  await scenario.linedUp();
  await cluster.members[await leadingMember(cluster)]!.kill();
  // Looks for longer than a ttl are looks at renewals that the new leader has acknowledged.
  await scenario.serves(second, 2 * (ttlMs / 10));
  const seenByAll = (): boolean =>
    scenario.observers.every((observer) => seenBy(observer).at(-1)?.term === second.term);
  await waitUntil("seen", seenByAll);
  await scenario.finish();
  const seen = scenario.observers.map((observer) =>
    seenBy(observer).flatMap((leader) => (leader === null ? [] : [leader.term])),
  );
  checkUnstalled(ttlMs / 2, startedAtNs, () => {
    for (const terms of [scenario.terms.map(({ term }) => term), ...seen])
      expect(terms).toEqual([first.term, second.term]);
  });
}
