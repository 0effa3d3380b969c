import type { ClaimDescription, Inspection } from "@leasehold/core";
import { SimClock } from "@leasehold/testing";
import { beforeEach, describe, expect, it } from "vitest";

import { encodeProclamation, type Proclamation } from "./messages.ts";
import { View, type Lesson } from "./view.ts";

let clock: SimClock;
let view: View;

beforeEach(() => {
  clock = new SimClock();
  view = new View(clock, 5_000);
});

const word = (state: Proclamation["state"], sequence: number, restMs = 1_000): Proclamation => {
  return { state, sequence, openMs: 1_000, restMs, attempt: 1, reason: `${state} ${sequence}` };
};

function claim(fencingToken: bigint, value: string | null): ClaimDescription {
  const origin = { host: "h", pid: 1, label: null, sinceMs: 0, metadata: {}, candidate: "a", value };
  return { owner: "o", fencingToken, weight: 1, remainingMs: 1_000, evicted: false, origin };
}

const led = (term: bigint, said: Proclamation | string): Inspection => {
  return { holders: [claim(term, typeof said === "string" ? said : encodeProclamation(said))], line: [] };
};
const vacant: Inspection = { holders: [], line: [] };
const between: Inspection = { holders: [], line: [claim(9n, "")] };

const saw = (look: Inspection): Lesson => view.saw(look, clock.now(), view.version);

describe("proclamations", () => {
  it("are believed in the order of their terms and sequences, whatever order looks come in", () => {
    expect(saw(led(5n, word("open", 2)))).toBe("changed");
    expect(saw(led(5n, word("half-open", 1)))).toBe("nothing");
    expect(saw(led(4n, word("closed", 7)))).toBe("nothing");
    expect(view.word.state).toBe("open");
    expect(saw(led(5n, word("half-open", 3)))).toBe("changed");
    expect(saw(led(6n, word("closed", 1)))).toBe("closed");
    expect(view.governs).toBe(false);
  });

  it("that close a circuit which this node did not know to be open teach nothing", () => {
    expect(saw(led(5n, word("closed", 1)))).toBe("nothing");
  });

  it("that cannot be read close the circuit, until one can be read again", () => {
    saw(led(5n, word("open", 2)));
    expect(saw(led(5n, "{}"))).toBe("malformed");
    expect(view.governs).toBe(false);
    expect(saw(led(5n, "{}"))).toBe("malformed");
    expect(saw(led(4n, "[]"))).toBe("nothing");
    expect(saw(led(5n, word("open", 2)))).toBe("changed");
    expect(saw({ holders: [{ ...claim(6n, ""), origin: null }], line: [] })).toBe("malformed");
    expect(saw(led(7n, "x".repeat(5_000)))).toBe("malformed");
  });

  it("stand until the next leader speaks, and between two leaders", () => {
    saw(led(5n, word("open", 1)));
    for (const look of [between, led(9n, "")]) expect(saw(look)).toBe("nothing");
    expect(view.governs).toBe(true);
  });
});

describe("a vacancy", () => {
  it("closes the circuit, and the next leader is believed, also in a lower term", () => {
    saw(led(5n, word("open", 1)));
    expect(saw(vacant)).toBe("vacant");
    expect(view.governs).toBe(false);
    expect(saw(vacant)).toBe("nothing");
    expect(saw(led(2n, word("open", 1)))).toBe("changed");
  });

  it("is none when this node has spoken since the look began, or leads", () => {
    const { version } = view;
    let held = true;
    view.said(5n, word("open", 1), () => held);
    expect(view.saw(vacant, clock.now(), version)).toBe("nothing");
    expect(saw(vacant)).toBe("nothing");
    expect(view.governs).toBe(true);
    held = false;
    expect(saw(vacant)).toBe("vacant");
  });
});

describe("time", () => {
  it("passes on this node's clock: what is left of the open time counts from the hearing", async () => {
    saw(led(5n, word("open", 1, 700)));
    await clock.advance(300);
    saw(led(5n, word("open", 1, 700)));
    expect(view.openForMs).toBe(400);
    await clock.advance(1_000);
    expect(view.openForMs).toBe(0);
    expect(view.governs).toBe(true);
  });

  it("ends belief: a word that no look confirms governs no more, and comes back with the store", async () => {
    saw(led(5n, word("open", 1)));
    await clock.advance(4_000);
    saw(led(5n, word("open", 1)));
    await clock.advance(4_999);
    saw(between);
    saw(led(6n, ""));
    expect(view.governs).toBe(true);
    await clock.advance(1);
    expect(view.governs).toBe(false);
    expect(view.staleInMs).toBe(0);
    expect(saw(led(5n, word("open", 1)))).toBe("nothing");
    expect(view.governs).toBe(true);
  });

  it("counts from the beginning of the look that confirmed", async () => {
    const startedAt = clock.now();
    await clock.advance(3_000);
    view.saw(led(5n, word("open", 1)), startedAt, view.version);
    expect(view.staleInMs).toBe(2_000);
  });

  it("counts while the system sleeps, and does not end the belief of a leader", async () => {
    let held = true;
    view.said(5n, word("open", 1), () => held);
    clock.stepWall(60_000);
    expect(view.governs).toBe(true);
    held = false;
    expect(view.governs).toBe(false);
  });

  it("spent alone makes a node's findings its own: the word that closes does not wipe them", async () => {
    saw(led(5n, word("open", 1)));
    await clock.advance(5_000);
    expect(saw(led(5n, word("closed", 2)))).toBe("nothing");
    expect(view.word.state).toBe("closed");
  });
});

it("forgets on request, also what a look under way is about to show", () => {
  saw(led(5n, word("open", 1)));
  const { version } = view;
  view.forget();
  expect(view.saw(led(5n, word("open", 1)), clock.now(), version)).toBe("nothing");
  expect(view.governs).toBe(false);
  expect(saw(led(5n, word("open", 1)))).toBe("changed");
});
