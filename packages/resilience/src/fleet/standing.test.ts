import { describe, expect, it } from "vitest";

import { roleFor, type Standing } from "./standing.ts";

const well: Standing = {
  governs: false,
  ails: false,
  hasDemand: false,
  role: null,
  place: -1,
  line: { owners: [], standbys: 0 },
};
const owners = (count: number): string[] => Array.from({ length: count }, (_, index) => `owner-${index}`);

describe("while the circuit is closed", () => {
  it("those stand whose own breaker is open", () => {
    expect(roleFor({ ...well, ails: true })).toBe("vote");
    expect(roleFor({ ...well, role: "vote", place: 0 })).toBe(null);
    expect(roleFor({ ...well, hasDemand: true })).toBe(null);
  });
});

describe("while it is open", () => {
  const open: Standing = { ...well, governs: true };

  it("those who stand stay, also when their own breaker has closed", () => {
    for (const role of ["vote", "standby"] as const) expect(roleFor({ ...open, role, place: 3 })).toBe(role);
    expect(roleFor({ ...open, role: "vote", place: -1 })).toBe("vote");
  });

  it("a crowd that voted at once does not stay", () => {
    expect(roleFor({ ...open, role: "vote", place: 7 })).toBe("vote");
    expect(roleFor({ ...open, role: "vote", place: 8 })).toBe(null);
    expect(roleFor({ ...open, role: "standby", place: 9 })).toBe("standby");
  });

  it("those who have calls to make join, a few who did not vote among them", () => {
    const calls = { ...open, hasDemand: true };
    expect(roleFor(open)).toBe(null);
    expect(roleFor({ ...calls, ails: true, line: { owners: owners(7), standbys: 2 } })).toBe("vote");
    expect(roleFor({ ...calls, line: { owners: owners(20), standbys: 1 } })).toBe("standby");
    expect(roleFor({ ...calls, line: { owners: owners(3), standbys: 2 } })).toBe(null);
    expect(roleFor({ ...calls, ails: true, line: { owners: owners(8), standbys: 2 } })).toBe(null);
  });
});
