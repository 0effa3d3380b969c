import { EventEmitter } from "node:events";
import { Health, type Degradation } from "@leasehold/core";
import { SimClock } from "@leasehold/testing";
import type { IEvent, IWatchRequest, IWatchResponse } from "etcd3";
import { beforeEach, expect, test } from "vitest";
import type { Calls } from "./calls.ts";
import { WatchHub } from "./watch-hub.ts";

/** One stream, and what was asked on it. Each watch is numbered as etcd numbers them. */
class Stream extends EventEmitter {
  readonly requests: IWatchRequest[] = [];
  cancelled = false;

  write(request: IWatchRequest): void {
    this.requests.push(request);
  }

  cancel(): void {
    this.cancelled = true;
  }

  /** The names that were asked for, in order. */
  get asked(): string[] {
    return this.requests.flatMap((each) =>
      "create_request" in each && each.create_request ? [String(each.create_request.key)] : [],
    );
  }

  get ended(): string[] {
    return this.requests.flatMap((each) =>
      "cancel_request" in each && each.cancel_request ? [String(each.cancel_request.watch_id)] : [],
    );
  }

  answer(response: Partial<IWatchResponse>): void {
    const header = { revision: "7" };
    this.emit("data", { header, events: [], created: false, canceled: false, fragment: false, ...response });
  }

  created(id: number): void {
    this.answer({ created: true, watch_id: String(id) });
  }
}

let clock: SimClock;
let hub: WatchHub;
let streams: Stream[];
let told: string[];
let forgotten: (string | undefined)[];
let degradations: Degradation[];

beforeEach(() => {
  clock = new SimClock();
  [streams, told, forgotten, degradations] = [[], [], [], []];
  const watch = async (): Promise<Stream> => {
    const stream = new Stream();
    streams.push(stream);
    return stream;
  };
  const endpoint = { host: "etcd:1", client: { watchClient: { watch } }, pulse: { heard: () => {} } };
  const health = new Health(clock);
  health.onDegraded((each) => degradations.push(each));
  const calls = {
    ...{ clock, health, endpoints: { ours: true, onReplaced: () => () => {}, moveOn: () => {} } },
    forStream: async () => ({ endpoint, token: "t" }),
    forgetToken: (token: string | undefined) => forgotten.push(token),
  };
  hub = new WatchHub(calls as unknown as Calls, { fraction: () => 0.5, hex: () => "" });
});

function watch(name: string): () => void {
  const range = { key: Buffer.from(name), range_end: Buffer.from(`${name}0`) };
  return hub.watch(range, "changes", {
    created: (revision, again) => told.push(`${name} created at ${revision}${again ? " again" : ""}`),
    heard: (events) => told.push(`${name} heard ${events.length}`),
    broken: () => told.push(`${name} broken`),
  });
}

/** What was told since this was last asked. */
const news = (): string[] => told.splice(0);
const pieces = (count: number): IEvent[] => Array.from({ length: count }, () => ({}) as IEvent);

/** Watches these, and lets the server create them. */
async function standing(...names: string[]): Promise<{ stream: Stream; ends: (() => void)[] }> {
  const ends = names.map(watch);
  await clock.advance(0);
  const stream = streams[0]!;
  names.forEach((_, id) => stream.created(id));
  news();
  return { stream, ends };
}

test("all watches go on one stream, and its answers are theirs in the order in which they asked", async () => {
  for (const name of ["a", "b", "c"]) watch(name);
  await clock.advance(0);
  expect(streams.map(({ asked }) => asked)).toEqual([["a", "b", "c"]]);
  for (const id of [5, 3, 4]) streams[0]!.created(id);
  expect(news()).toEqual(["a created at 7", "b created at 7", "c created at 7"]);
  streams[0]!.answer({ watch_id: "3", events: pieces(2) });
  expect(news()).toEqual(["b heard 2"]);
});

test("many are asked for in several turns, each of them once", async () => {
  const names = Array.from({ length: 600 }, (_, each) => `n${each}`);
  for (const name of names) watch(name);
  await clock.advance(0);
  expect(streams.map(({ asked }) => asked)).toEqual([names]);
  expect(clock.pending, "nothing but the wait for an answer").toBe(1);
});

test("a broken stream is told to every watch once, and they are made again after one pause for all", async () => {
  const { stream } = await standing("a", "b");
  watch("late");
  stream.emit("error", new Error("reset"));
  stream.emit("end");
  expect(news()).toEqual(["a broken", "b broken", "late broken"]);
  expect(degradations.map(({ reason }) => reason)).toEqual(["pushes-interrupted"]);
  expect(clock.pending, "one pause").toBe(1);
  watch("later");
  await clock.advance(49);
  expect(streams).toHaveLength(1);
  await clock.advance(1);
  expect(streams[1]!.asked.toSorted()).toEqual(["a", "b", "late", "later"]);
  for (const id of [0, 1, 2, 3]) streams[1]!.created(id);
  const again = ["a", "b", "late"].map((name) => `${name} created at 7 again`);
  expect(news().toSorted()).toEqual([...again, "later created at 7"]);
});

test("the pauses grow while no watch stands", async () => {
  watch("a");
  for (const pauseMs of [50, 100, 200]) {
    await clock.advance(0);
    streams.at(-1)!.emit("error", new Error("reset"));
    const before = streams.length;
    await clock.advance(pauseMs - 1);
    expect(streams).toHaveLength(before);
    await clock.advance(1);
    expect(streams).toHaveLength(before + 1);
  }
});

test("a watch that a compaction cancels is made again, and the others on its stream hear nothing of it", async () => {
  const { stream } = await standing("a", "b");
  stream.answer({ watch_id: "0", canceled: true, compact_revision: "9" });
  expect(news()).toEqual(["a broken"]);
  expect(degradations[0]?.message).toContain("compacted at revision 9");
  stream.answer({ watch_id: "1", events: pieces(1) });
  await clock.advance(50);
  expect([streams.length, stream.asked]).toEqual([1, ["a", "b", "a"]]);
  stream.created(2);
  expect(news()).toEqual(["b heard 1", "a created at 7 again"]);
});

test("a stream that is silent while it owes an answer is given up", async () => {
  watch("a");
  await clock.advance(2_999);
  expect(news()).toEqual([]);
  await clock.advance(1);
  expect(news()).toEqual(["a broken"]);
});

test("anything that arrives is a sign of life, and so is nothing where nothing is owed", async () => {
  const { stream } = await standing("a");
  await clock.advance(60_000);
  watch("b");
  await clock.advance(2_900);
  stream.answer({ watch_id: "0", events: pieces(1) });
  await clock.advance(2_900);
  expect(news()).toEqual(["a heard 1"]);
  await clock.advance(100);
  expect(news()).toEqual(["a broken", "b broken"]);
});

test("our own loop was late: what has arrived is read before the stream is given up", async () => {
  watch("a");
  await clock.advance(0);
  // Both timers are due at once, and the one that listens for silence comes first.
  clock.schedule(3_000, () => streams[0]!.created(0));
  clock.block(10_000);
  await clock.advance(0);
  expect(news()).toEqual(["a created at 7"]);
});

test("a revision that comes in fragments is told once it is whole", async () => {
  const { stream } = await standing("a");
  stream.answer({ watch_id: "0", events: pieces(3), fragment: true });
  stream.answer({ watch_id: "0", events: pieces(3), fragment: true });
  expect(news()).toEqual([]);
  stream.answer({ watch_id: "0", events: pieces(1) });
  expect(news()).toEqual(["a heard 7"]);
});

test("a watch that is closed before it was created is ended when it is, and told nothing", async () => {
  const { stream } = await standing("a");
  watch("b")();
  await clock.advance(0);
  stream.created(1);
  stream.answer({ watch_id: "1", events: pieces(1) });
  expect([news(), stream.ended]).toEqual([[], ["1"]]);
});

test("the last one that is closed ends the stream, and leaves nothing behind", async () => {
  const { stream, ends } = await standing("a", "b");
  ends[0]!();
  expect(stream.ended).toEqual(["0"]);
  ends[1]!();
  const closed = hub.close();
  stream.emit("error", new Error("cancelled"));
  await closed;
  expect([news(), clock.pending, degradations]).toEqual([[], 0, []]);
  watch("too late");
  await clock.advance(0);
  expect(streams).toHaveLength(1);
});

test("a refused token breaks the stream once, however many watches it refuses", async () => {
  for (const name of ["a", "b"]) watch(name);
  await clock.advance(0);
  const refused = { created: true, canceled: true, watch_id: "-1", cancel_reason: "invalid auth token" };
  streams[0]!.answer(refused);
  streams[0]!.answer(refused);
  expect([news(), forgotten]).toEqual([["a broken", "b broken"], ["t"]]);
  await clock.advance(50);
  expect(streams[1]!.asked).toEqual(["a", "b"]);
});
