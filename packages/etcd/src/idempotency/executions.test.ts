import { SimClock } from "@leasehold/testing";
import { expect, test } from "vitest";
import { RecordKeys } from "../format/record-keys.ts";
import { SharedLease } from "../leases/shared-lease.ts";
import type { SharedLeases } from "../leases/shared-leases.ts";
import { Sweeper } from "../ownership/sweeper.ts";
import type { Calls } from "../rpc/calls.ts";
import { Executions, type Execution } from "./executions.ts";

const leaseMs = 3_000;
const keys = new RecordKeys("leasehold");
const ref = (record: string, owner = "a".repeat(32)): { record: string; owner: string; leaseMs: number } => ({
  ...{ record, owner, leaseMs },
});
const textOf = (record: string): string => keys.owner(record).toString("latin1");

function stage(): {
  executions: Executions;
  pass: (ms: number) => void;
  begin: (record: string) => Execution;
} {
  const clock = new SimClock();
  const calls = { clock, now: () => clock.now() } as unknown as Calls;
  const leases = { ours: [] } as unknown as SharedLeases;
  const executions = new Executions(calls, keys, leases, new Sweeper(calls, leases));
  return {
    executions,
    pass: (ms) => clock.block(ms),
    begin: (record) => {
      const execution = executions.enter(ref(record));
      execution.begun = { token: 7n, attempt: 1, fingerprint: "f" };
      execution.lease = new SharedLease("1", clock, { validFrom: clock.now(), ttlMs: leaseMs }, true);
      executions.leave(execution);
      return execution;
    },
  };
}

test("what nothing was begun of is forgotten when its request has ended; what may have been is not", () => {
  const { executions } = stage();
  const refused = executions.enter(ref("refused"));
  expect(executions.isWanted(textOf("refused"))).toBe(true);
  executions.leave(refused);
  expect(executions.isWanted(textOf("refused"))).toBe(false);
  const doubtful = executions.enter(ref("doubtful"));
  doubtful.doubtful = true;
  executions.leave(doubtful);
  expect(executions.has(doubtful)).toBe(true);
  expect(executions.enter(ref("doubtful")), "its next try is the same").toBe(doubtful);
});

test("an execution lapses when nobody has asked for it for its lease, and never while it is asked for", () => {
  const { executions, pass, begin } = stage();
  const execution = begin("r");
  pass(leaseMs);
  expect(executions.hasLapsed(execution)).toBe(false);
  pass(1);
  expect(executions.hasLapsed(execution)).toBe(true);
  expect(executions.isWanted(textOf("r"))).toBe(false);
  expect(executions.enter(ref("r"))).toBe(execution);
  pass(10 * leaseMs);
  expect(executions.hasLapsed(execution)).toBe(false);
  executions.leave(execution);
  expect(executions.hasLapsed(execution)).toBe(true);
});

test("the leases in use are those of executions that were not ended", () => {
  const { executions, begin } = stage();
  const [a, b] = [begin("a"), begin("b")];
  expect(executions.leases).toEqual(new Set([a.lease, b.lease]));
  executions.drop(a);
  executions.depart(b);
  expect(executions.leases).toEqual(new Set());
  expect(executions.all).toEqual([]);
});

test("an owner that has departed is remembered for as long as a begin of it may arrive, unless it comes back", () => {
  const { executions, pass, begin } = stage();
  const execution = begin("r");
  executions.depart(execution);
  const { owner } = execution;
  expect(executions.hasDeparted({ record: "r", owner })).toBe(true);
  expect(executions.hasDeparted({ record: "other", owner })).toBe(false);
  expect(executions.isExpecting()).toBe(true);
  const again = executions.enter(ref("r"));
  expect(again).not.toBe(execution);
  expect(executions.hasDeparted({ record: "r", owner })).toBe(false);
  // A request of the one that has departed ends: that is nothing to the one that came back.
  execution.pending += 1;
  execution.begun = undefined;
  executions.leave(execution);
  expect(executions.has(again)).toBe(true);
  executions.depart(again);
  executions.forgetDeparture(again);
  expect(executions.isExpecting()).toBe(false);
  executions.depart(again);
  expect(executions.isExpecting()).toBe(true);
  pass(60_000);
  expect(executions.isExpecting()).toBe(false);
  expect(executions.hasDeparted({ record: "r", owner })).toBe(false);
});
