import type { ClaimDescription } from "@leasehold/core";
import { SimClock } from "@leasehold/testing";
import { describe, expect, it } from "vitest";

import { lineOf, quorumOf, roleFor, type Standing } from "./line.ts";

let drawn = 0;

function claim(candidate: string, role: string, evicted = false): ClaimDescription {
  const origin = { host: "h", pid: 1, label: null, sinceMs: 0, metadata: { role }, candidate, value: "" };
  return { owner: `owner-${drawn++}`, fencingToken: 1n, weight: 1, remainingMs: 1_000, evicted, origin };
}

describe("the line", () => {
  it("has a vote of each node that votes, once", () => {
    const restarted = [claim("a", "vote"), claim("a", "vote"), claim("b", "vote")];
    expect(lineOf({ holders: restarted.slice(0, 1), line: restarted.slice(1) })).toMatchObject({
      votes: 2,
      standbys: 0,
      owners: restarted.map(({ owner }) => owner),
      nodes: ["a", "a", "b"],
    });
  });

  it("has no vote of a claim that only offers to probe, was evicted, or cannot be read", () => {
    const unreadable = { ...claim("e", "vote"), origin: null };
    const line = [claim("b", "standby"), claim("c", "vote", true), claim("d", "constructor"), unreadable];
    expect(lineOf({ holders: [claim("a", "vote")], line })).toMatchObject({ votes: 1, standbys: 1 });
  });
});

describe("the quorum", () => {
  const clock = new SimClock();
  const { signal } = new AbortController();

  it("is the minimum where no function counts the nodes", async () => {
    expect(await quorumOf({}, clock, signal)).toEqual({ needed: 2, nodes: undefined });
    expect(await quorumOf({ minimum: 5 }, clock, signal)).toEqual({ needed: 5, nodes: undefined });
  });

  it.each([
    [2, 0.3, 1, 2],
    [2, 0.3, 10, 3],
    [2, 0.3, 11, 4],
    [1, 0.5, 1, 1],
    [3, 0.1, 10, 3],
    [2, 1, 7, 7],
    [2, 0.1, 30, 3],
  ])("is at least %i, and %d of %i nodes: %i", async (minimum, share, nodes, needed) => {
    const options = { minimum, share, nodes: () => Promise.resolve(nodes) };
    expect(await quorumOf(options, clock, signal)).toEqual({ needed, nodes });
  });

  it("rejects while the nodes cannot be counted", async () => {
    for (const nodes of [() => NaN, () => -1, () => Infinity, () => "3" as unknown as number])
      await expect(quorumOf({ nodes }, clock, signal)).rejects.toThrow(/a number of nodes/);
    const down = (): Promise<number> => Promise.reject(new Error("no store"));
    await expect(quorumOf({ nodes: down }, clock, signal)).rejects.toThrow("no store");
    const thrown = (): number => {
      throw new Error("a bug");
    };
    await expect(quorumOf({ nodes: thrown }, clock, signal)).rejects.toThrow("a bug");
  });

  it("does not wait for a count that never comes, and leaves no timer", async () => {
    const hanging = quorumOf({ nodes: () => new Promise(() => {}) }, clock, signal);
    const failed = expect(hanging).rejects.toThrow(/has not answered within 5000 ms/);
    await clock.advance(5_000);
    await failed;
    expect(clock.pending).toBe(0);
  });
});

const well: Standing = {
  governs: false,
  ails: false,
  hasDemand: false,
  role: null,
  place: -1,
  line: { owners: [], standbys: 0 },
};
const owners = (count: number): string[] => Array.from({ length: count }, (_, index) => `owner-${index}`);

describe("roles while the circuit is closed", () => {
  it("a node votes whose own breaker is open", () => {
    expect(roleFor({ ...well, ails: true })).toBe("vote");
    expect(roleFor({ ...well, role: "vote", place: 0 })).toBe(null);
    expect(roleFor({ ...well, hasDemand: true })).toBe(null);
  });
});

describe("roles while the circuit is open", () => {
  const open: Standing = { ...well, governs: true };

  it("nodes in line stay, also when their own breaker has closed", () => {
    for (const role of ["vote", "standby"] as const) expect(roleFor({ ...open, role, place: 3 })).toBe(role);
    expect(roleFor({ ...open, role: "vote", place: -1 })).toBe("vote");
  });

  it("a crowd that voted at once does not stay", () => {
    expect(roleFor({ ...open, role: "vote", place: 7 })).toBe("vote");
    expect(roleFor({ ...open, role: "vote", place: 8 })).toBe(null);
    expect(roleFor({ ...open, role: "standby", place: 9 })).toBe("standby");
  });

  it("nodes with calls to make join, among them a few that did not vote", () => {
    const calls = { ...open, hasDemand: true };
    expect(roleFor(open)).toBe(null);
    expect(roleFor({ ...calls, ails: true, line: { owners: owners(7), standbys: 2 } })).toBe("vote");
    expect(roleFor({ ...calls, line: { owners: owners(20), standbys: 1 } })).toBe("standby");
    expect(roleFor({ ...calls, line: { owners: owners(3), standbys: 2 } })).toBe(null);
    expect(roleFor({ ...calls, ails: true, line: { owners: owners(8), standbys: 2 } })).toBe(null);
  });
});
