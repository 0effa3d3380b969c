import { SimClock } from "@leasehold/testing";
import { beforeEach, describe, expect, it } from "vitest";

import type { Granted, Queued, RenewAnswer } from "../contract/lease-store.ts";
import { driftMarginMs } from "./belief.ts";
import { Claim } from "./claim.ts";

const ttlMs = 1_000;
let clock: SimClock;
let told: string[];
let claim: Claim;

beforeEach(() => {
  clock = new SimClock();
  told = [];
  const resource = { name: "r", capacity: 1, announce: false };
  claim = new Claim({ resource, owner: "o", ttlMs }, clock, {
    granted: () => {
      told.push("granted");
      claim.handTo({ lost: (reason) => told.push(`lost ${reason}`) });
    },
    died: (reason) => told.push(`died ${reason}`),
    ask: () => told.push("ask"),
  });
  claim.sending();
});

const granted = (ticket: bigint, validFrom = clock.now()): Granted => ({
  kind: "granted",
  ticket,
  ttlMs,
  validFrom,
});
const queued = (ticket: bigint, validFrom = clock.now()): Queued => ({
  kind: "queued",
  ticket,
  ttlMs,
  validFrom,
  aheadMs: 500,
});
const renewed = (ticket: bigint, isGranted: boolean, validFrom = clock.now()): RenewAnswer => ({
  kind: "renewed",
  ticket,
  granted: isGranted,
  ttlMs,
  validFrom,
  aheadMs: isGranted ? 0 : 500,
});
const usableMs = ttlMs - driftMarginMs(ttlMs);

describe("the deadline", () => {
  it("counts from the send of the acknowledged request, less the margin", () => {
    const sentAt = clock.now();
    clock.block(300);
    claim.answered(granted(5n, sentAt));
    expect(claim.remainingMs()).toBe(usableMs - 300);
  });

  it("ends the belief at the very look that finds it passed, before any timer has fired", () => {
    claim.answered(granted(5n));
    clock.block(usableMs - 1);
    expect(claim.isHeld()).toBe(true);
    clock.block(1);
    expect(claim.isHeld()).toBe(false);
    expect(told).toEqual(["granted", "lost expired"]);
  });

  it("never moves back: an older acknowledgement that arrives late changes nothing", () => {
    const early = clock.now();
    claim.answered(granted(5n));
    clock.block(100);
    claim.renewed(5n, renewed(5n, true));
    claim.renewed(5n, renewed(5n, true, early));
    expect(claim.remainingMs()).toBe(usableMs);
  });

  it("counts a sleep that only the wall clock saw, and does not count its steps back", () => {
    claim.answered(granted(5n));
    clock.stepWall(-3_600_000);
    expect(claim.remainingMs()).toBe(usableMs);
    clock.stepWall(3_600_000 + usableMs);
    expect(claim.isHeld()).toBe(false);
  });

  it("is not saved by a renewal that was answered while the event loop was blocked past it", () => {
    claim.answered(granted(5n));
    clock.block(usableMs / 2);
    const sentAt = clock.now();
    clock.block(usableMs / 2 + 1);
    claim.renewed(5n, renewed(5n, true, sentAt));
    expect(told).toEqual(["granted", "lost expired"]);
  });
});

describe("tickets (R2)", () => {
  it("takes the highest of several acquire replies, and drops the lower", () => {
    claim.answered(queued(9n));
    claim.answered(granted(5n));
    expect(claim.phase).toBe("waiting");
    expect(claim.ticket).toBe(9n);
    expect(told).toEqual([]);
  });

  it("does not let a late 'queued' undo a grant", () => {
    claim.answered(granted(5n));
    claim.answered(queued(5n));
    expect(claim.isHeld()).toBe(true);
  });

  it("ignores a push of a ticket that has died", () => {
    claim.answered(queued(9n));
    claim.pushed(5n);
    expect(claim.phase).toBe("waiting");
  });

  it("keeps a push of a higher ticket for the reply that is still on its way", () => {
    claim.answered(queued(5n));
    claim.pushed(9n);
    expect(claim.phase).toBe("waiting");
    claim.answered(queued(9n));
    expect(claim.phase).toBe("held");
  });

  it("ignores a renewal that was asked for another ticket", () => {
    claim.answered(queued(9n));
    claim.renewed(5n, { kind: "gone" });
    claim.renewed(5n, renewed(5n, true));
    expect(claim.phase).toBe("waiting");
  });

  it("stops believing when the store says that this call has joined anew", () => {
    claim.pushed(5n);
    claim.answered(queued(9n));
    expect(told).toEqual(["granted", "lost gone"]);
  });
});

describe("pushes (R4)", () => {
  it("counts a push before any reply from the first send of the call", () => {
    clock.block(400);
    claim.sending();
    claim.pushed(5n);
    expect(claim.isHeld()).toBe(true);
    expect(claim.remainingMs()).toBe(usableMs - 400);
    claim.answered(granted(5n));
    expect(claim.remainingMs()).toBe(usableMs);
  });

  it("does not believe a grant whose deadline has passed, but asks, and believes the answer", () => {
    claim.answered(queued(5n));
    clock.block(usableMs);
    claim.pushed(5n);
    expect(claim.isHeld()).toBe(false);
    expect(told).toEqual(["ask"]);
    claim.renewed(5n, renewed(5n, true));
    expect(claim.isHeld()).toBe(true);
  });

  it("does not end a waiter whose deadline has passed: the store decides", () => {
    claim.answered(queued(5n));
    clock.block(ttlMs * 3);
    claim.renewed(5n, { kind: "unanswered", error: new Error("silence") });
    expect(claim.phase).toBe("waiting");
    claim.renewed(5n, { kind: "gone" });
    expect(told).toEqual(["died gone"]);
  });
});

describe("over (R5)", () => {
  it.each(["released", "expired", "gone"])("is final: %s", (how) => {
    claim.answered(granted(5n));
    if (how === "released") claim.end();
    if (how === "expired") clock.block(ttlMs);
    if (how === "gone") claim.renewed(5n, { kind: "gone" });
    claim.isHeld();
    const before = [...told];
    claim.answered(granted(5n));
    claim.answered(granted(9n));
    claim.renewed(5n, renewed(5n, true));
    expect(claim.pushed(5n)).toBe(false);
    expect(claim.isHeld()).toBe(false);
    expect(claim.remainingMs()).toBe(0);
    expect(told).toEqual(before);
  });

  it("asks for a mark (R7) when a request went unanswered, was resent, or is on its way", () => {
    expect(claim.inFlight).toBe(true);
    claim.answered(queued(5n));
    expect([claim.inFlight, claim.unclean]).toEqual([false, false]);
    claim.answered({ ...queued(5n), resent: true });
    expect(claim.unclean).toBe(true);
  });

  it("stays unclean after a retry that was answered: the first copy may still arrive", () => {
    claim.unanswered();
    claim.sending();
    claim.answered(granted(5n));
    expect(claim.unclean).toBe(true);
  });
});
