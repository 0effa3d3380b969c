import { SimClock } from "@leasehold/testing";
import fc from "fast-check";
import { expect, it } from "vitest";

import { Belief, driftMarginMs } from "./belief.ts";

const ttlMs = 3_000;
const usableMs = ttlMs - driftMarginMs(ttlMs);

it("believes nothing before a proof", () => {
  expect(new Belief(new SimClock()).remainingMs).toBeLessThan(0);
});

it("ends the ttl after the proof's moment, less the margin; the store's own end has no margin", () => {
  const clock = new SimClock();
  const belief = new Belief(clock, { validFrom: clock.now(), ttlMs });
  clock.block(1_000);
  expect(belief.remainingMs).toBe(usableMs - 1_000);
  expect(belief.storedMs).toBe(ttlMs - 1_000);
});

it("counts time that only one of the two clocks saw pass", () => {
  const clock = new SimClock();
  const belief = new Belief(clock, { validFrom: clock.now(), ttlMs });
  clock.stepWall(2_000);
  expect(belief.remainingMs, "a system that slept").toBe(usableMs - 2_000);
  clock.stepWall(-5_000);
  clock.block(500);
  expect(belief.remainingMs, "a wall clock that was set back makes nothing younger").toBe(usableMs - 500);
});

it("is due a third of the ttl after the proof, and a little from now when that is past", () => {
  const clock = new SimClock();
  const startMs = clock.now().monoMs;
  const belief = new Belief(clock, { validFrom: clock.now(), ttlMs });
  expect(belief.dueMs - startMs).toBe(1_000);
  clock.block(2_000);
  expect(belief.dueMs - startMs).toBe(2_015);
});

it("forgets what was proved of an earlier claim", () => {
  const clock = new SimClock();
  const belief = new Belief(clock, { validFrom: clock.now(), ttlMs });
  belief.forget();
  expect(belief.remainingMs).toBeLessThan(0);
});

it("never moves back, in whatever order proofs arrive", () => {
  const proofs = fc.array(fc.record({ sentAtMs: fc.nat(5_000), ttlMs: fc.integer({ min: 1, max: 5_000 }) }));
  fc.assert(
    fc.property(proofs, (sent) => {
      const clock = new SimClock();
      const { monoMs, wallMs } = clock.now();
      clock.block(5_000);
      const belief = new Belief(clock);
      let furthestMs = -Infinity;
      for (const proof of sent) {
        const validFrom = { monoMs: monoMs + proof.sentAtMs, wallMs: wallMs + proof.sentAtMs };
        const endsInMs = proof.sentAtMs + proof.ttlMs - 5_000;
        expect(belief.extend({ validFrom, ttlMs: proof.ttlMs })).toBe(endsInMs > furthestMs);
        furthestMs = Math.max(furthestMs, endsInMs);
        expect(belief.storedMs).toBe(furthestMs);
      }
    }),
  );
});
