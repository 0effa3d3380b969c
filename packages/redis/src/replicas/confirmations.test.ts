import { Health, LeaseholdError, type RenewRequest } from "@leasehold/core";
import { SimClock } from "@leasehold/testing";
import { expect, test } from "vitest";

import { Confirmations, type Confirmation } from "./confirmations.ts";

/** Confirmations of two replicas over a connection that is played. */
function play() {
  const clock = new SimClock();
  const health = new Health(clock);
  const told: string[] = [];
  health.onDegraded(({ message }) => told.push(message));
  health.onRestored(({ reason }) => told.push(`${reason} is over`));
  const waits: { ms: number; answer: (reached: number) => void }[] = [];
  let close = (): void => {};
  const rounds: number[] = [];
  const confirmations = new Confirmations({
    connection: {
      whenReady: (timeoutMs) => Promise.resolve(timeoutMs),
      explain: () => new LeaseholdError("BACKEND_UNAVAILABLE", "explained"),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    client: {
      on: (_event: string, listener: () => void) => (close = listener),
      wait: (_replicas, ms) => new Promise((answer) => waits.push({ ms, answer })),
    },
    renew: (requests) => {
      rounds.push(requests.length);
      return Promise.resolve(
        requests.map(({ ticket, ttlMs }) => {
          return { kind: "renewed", granted: true, aheadMs: 0, ticket, ttlMs, validFrom: clock.now() };
        }),
      );
    },
    replicas: 2,
    clock,
    health,
  });
  return { clock, told, waits, rounds, confirmations, lose: () => close() };
}

const claim: RenewRequest = {
  resource: { name: "x", announce: false },
  owner: "a".repeat(32),
  ttlMs: 5_000,
  ticket: 1n,
};

const kindOf = (confirmation: Promise<Confirmation>) => confirmation.then(({ kind }) => kind);

test("enough replicas confirm, and from the moment before the write", async () => {
  const { clock, waits, confirmations } = play();
  const validFrom = clock.now();
  const confirmed = confirmations.confirm(claim, 1_000);
  await clock.advance(100);
  waits[0]?.answer(2);
  expect(await confirmed).toEqual({ kind: "confirmed", validFrom });
});

test("a connection lost between the write and WAIT proves nothing: the next one has nothing to wait for", async () => {
  const { clock, waits, confirmations, lose } = play();
  const confirmed = confirmations.confirm(claim, 1_000);
  await clock.advance(0);
  lose();
  waits[0]?.answer(2);
  expect(await confirmed).toEqual({ kind: "short", says: "The connection was lost." });
});

test("who asks while a round runs shares the next one", async () => {
  const { clock, waits, rounds, confirmations } = play();
  const first = confirmations.confirm(claim, 1_000);
  await clock.advance(0);
  const others = [1, 2, 3].map(() => kindOf(confirmations.confirm(claim, 1_000)));
  waits[0]?.answer(2);
  await first;
  await clock.advance(0);
  waits[1]?.answer(3);
  expect(await Promise.all(others)).toEqual(["confirmed", "confirmed", "confirmed"]);
  expect(rounds).toEqual([1, 3]);
});

test("an impatient caller shortens the round, and not the time of the others", async () => {
  const { clock, waits, told, confirmations } = play();
  const before = confirmations.confirm(claim, 10_000);
  await clock.advance(0);
  const impatient = confirmations.confirm(claim, 100);
  const patient = kindOf(confirmations.confirm(claim, 2_000));
  waits[0]?.answer(2);
  await before;
  await clock.advance(80);
  expect(waits.map(({ ms }) => ms)).toEqual([1_000, 80]);
  waits[1]?.answer(1);
  expect(await impatient).toEqual({ kind: "short", says: "It reached 1 of 2 replicas." });
  await clock.advance(0);
  waits[2]?.answer(2);
  expect(await patient).toBe("confirmed");
  expect(told).toEqual(["A grant was withdrawn. It reached 1 of 2 replicas.", "refusing is over"]);
});

test("a server that does not answer is no confirmation, in the caller's time", async () => {
  const { clock, confirmations } = play();
  const confirmed = kindOf(confirmations.confirm(claim, 500));
  await clock.advance(500);
  expect(await confirmed).toBe("short");
  await clock.advance(5_000);
  expect(clock.pending).toBe(0);
});
