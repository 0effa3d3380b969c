import { Health } from "@leasehold/core";
import { SimClock } from "@leasehold/testing";
import { beforeEach, expect, test } from "vitest";
import type { RedisClient } from "./client.ts";
import { Readiness } from "./readiness.ts";

/** As much of a client as readiness looks at. */
interface FakeClient {
  status: string;
  stream: FakeSocket | null;
  dials: number;
}

class FakeSocket {
  readonly connecting = false;
  readonly writableEnded = false;
  destroyed = false;
  resetAndDestroy(): void {
    this.destroyed = true;
  }
  destroy(): void {
    this.destroyed = true;
  }
}

let clock: SimClock;
let client: FakeClient;
let told: string[];
let health: Health;
beforeEach(() => {
  clock = new SimClock();
  client = { status: "wait", stream: null, dials: 0 };
  told = [];
  health = new Health(clock);
  health.onDegraded(({ reason }) => told.push(reason));
  health.onRestored(({ reason }) => told.push(`not ${reason}`));
});

function readinessOf({ owned = true } = {}): Readiness {
  const connect = (): Promise<void> => {
    client.dials += 1;
    client.status = "connecting";
    return Promise.resolve();
  };
  return new Readiness({
    client: Object.assign(client, { connect }) as unknown as RedisClient,
    ...{ owned, clock, health },
  });
}

/** What came of a promise so far. */
function outcomeOf(promise: Promise<unknown>): { value?: unknown; error?: unknown } {
  const outcome: { value?: unknown; error?: unknown } = {};
  promise.then(
    (value) => (outcome.value = value),
    (error: unknown) => (outcome.error = error),
  );
  return outcome;
}

const refused = new Error("connect ECONNREFUSED 127.0.0.1:1");

/** As ioredis tells it: the attempt fails, and a pause begins. */
function refuse(readiness: Readiness): void {
  readiness.failed(refused);
  client.status = "reconnecting";
  readiness.lost();
}

async function pass(ms: number): Promise<void> {
  await clock.advance(ms);
  await new Promise(setImmediate);
}

test("a refused dial: those who wait, and those who come, fail within a moment and not at their deadlines", async () => {
  const readiness = readinessOf();
  const first = outcomeOf(readiness.until(5_000));
  expect(client.dials).toBe(1);
  refuse(readiness);
  await pass(100);
  expect(first).toEqual({});
  await pass(300);
  expect(first.error).toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: false });
  const second = outcomeOf(readiness.until(5_000));
  const impatient = outcomeOf(readiness.until(50));
  await pass(60);
  expect({ second: second.error, impatient: impatient.error }).toMatchObject({
    second: undefined,
    impatient: { code: "BACKEND_UNAVAILABLE" },
  });
  await pass(300);
  expect(second.error).toMatchObject({ code: "BACKEND_UNAVAILABLE" });
  expect(told).toEqual(["unreachable"]);
});

test("a dial that succeeds in time serves those who wait, and tells that the store is back", async () => {
  const readiness = readinessOf();
  const failed = outcomeOf(readiness.until(5_000));
  refuse(readiness);
  await pass(400);
  const waiting = outcomeOf(readiness.until(5_000));
  await pass(100);
  client.status = "ready";
  readiness.ready();
  await pass(0);
  expect(waiting).toEqual({ value: 4_900 });
  expect(failed.error).toBeDefined();
  expect(told).toEqual(["unreachable", "not unreachable"]);
});

test("a lost connection that nobody needs tells nothing", async () => {
  const readiness = readinessOf();
  for (let i = 0; i < 3; i++) {
    refuse(readiness);
    await pass(1_000);
  }
  expect(told).toEqual([]);
});

test("an attempt that hangs is ended, and counts as failed", async () => {
  const readiness = readinessOf();
  const waiting = outcomeOf(readiness.until(60_000));
  const socket = new FakeSocket();
  client.stream = socket;
  readiness.connecting();
  await pass(2_900);
  expect(socket.destroyed).toBe(false);
  await pass(100);
  expect(socket.destroyed).toBe(true);
  await pass(300);
  expect(waiting.error).toMatchObject({ code: "BACKEND_UNAVAILABLE", message: /was not ready within/ });
});

test("an attempt is not judged by a blocked event loop, nor a client that is not ours", async () => {
  const own = readinessOf();
  client.stream = new FakeSocket();
  own.connecting();
  clock.block(60_000);
  await pass(0);
  await pass(2_900);
  expect(client.stream.destroyed).toBe(false);
  own.lost();
  readinessOf({ owned: false }).connecting();
  await pass(60_000);
  expect({ destroyed: client.stream.destroyed, timers: clock.pending }).toEqual({
    destroyed: false,
    timers: 0,
  });
});

test("a client that the application closed is closed for good, for those who wait, too", async () => {
  const readiness = readinessOf({ owned: false });
  const waiting = outcomeOf(readiness.until(60_000));
  client.status = "end";
  readiness.ended();
  const next = outcomeOf(readiness.until(60_000));
  await pass(0);
  for (const { error } of [waiting, next])
    expect(error).toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: true, message: /was closed/ });
  expect(client.dials).toBe(1);
});

test("a password that is refused is told as refusing, until it is accepted", async () => {
  const readiness = readinessOf();
  const waiting = outcomeOf(readiness.until(60_000));
  readiness.failed(new Error("WRONGPASS invalid username-password pair"));
  await pass(0);
  expect(waiting.error).toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: true });
  client.status = "ready";
  readiness.ready();
  expect(told).toEqual(["refusing", "not refusing"]);
});

test("an attempt that was told an error is not ready, whatever the client says: it is ended, and the next one counts", async () => {
  const readiness = readinessOf();
  const waiting = outcomeOf(readiness.until(60_000));
  const socket = new FakeSocket();
  readiness.connecting();
  Object.assign(client, { status: "connect", stream: socket });
  readiness.failed(new Error("ERR DB index is out of range"));
  expect(socket.destroyed).toBe(true);
  readiness.failed(new Error("Stream isn't writeable and enableOfflineQueue options is false"));
  client.status = "ready";
  readiness.ready();
  const next = outcomeOf(readiness.until(5_000));
  await pass(0);
  expect({ error: waiting.error, next, isReady: readiness.isReady }).toMatchObject({
    error: { code: "BACKEND_UNAVAILABLE", permanent: true, message: /no database/ },
    next: {},
    isReady: false,
  });
  readiness.lost();
  readiness.connecting();
  client.status = "ready";
  readiness.ready();
  await pass(0);
  expect({ next, isReady: readiness.isReady }).toEqual({ next: { value: 5_000 }, isReady: true });
  expect(told).toEqual(["refusing", "not refusing"]);
});

test("a client that is not ours, and was told an error: calls are refused until it connects anew", async () => {
  const readiness = readinessOf({ owned: false });
  readiness.connecting();
  client.status = "connect";
  readiness.failed(new Error("ERR DB index is out of range"));
  client.status = "ready";
  readiness.ready();
  const call = outcomeOf(readiness.until(60_000));
  await pass(0);
  expect(call.error).toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: true });
  readiness.connecting();
  client.status = "ready";
  readiness.ready();
  expect(readiness.isReady).toBe(true);
});

test("closing fails those who wait, at once, and leaves no timer", async () => {
  const readiness = readinessOf();
  const waiting = outcomeOf(readiness.until(60_000));
  readiness.connecting();
  refuse(readiness);
  readiness.close();
  await pass(0);
  expect(waiting.error).toMatchObject({ code: "CLOSED" });
  expect(clock.pending).toBe(0);
});
