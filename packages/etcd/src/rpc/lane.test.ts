import { sleep } from "@leasehold/core";
import { SimClock } from "@leasehold/testing";
import { beforeEach, expect, test } from "vitest";
import { Deadline } from "./deadline.ts";
import { RpcFailure } from "./failure.ts";
import { Lane } from "./lane.ts";

let clock: SimClock;
let lane: Lane;
let begun: string[];
beforeEach(() => {
  clock = new SimClock();
  lane = new Lane(clock, 2);
  begun = [];
});

/** A request that takes so long. */
function ask(name: string, forMs: number, timeoutMs = 10_000): Promise<string> {
  const request = async (): Promise<string> => {
    begun.push(name);
    await sleep(clock, forMs);
    return name;
  };
  return lane
    .run(new Deadline(clock, timeoutMs), request)
    .catch((error: unknown) => `${name} ${(error as RpcFailure).kind}`);
}

test("so many are under way, the others follow in order", async () => {
  const answers = Promise.all(["a", "b", "c", "d", "e"].map((name) => ask(name, 100)));
  expect(begun).toEqual(["a", "b"]);
  await clock.advance(100);
  expect(begun).toEqual(["a", "b", "c", "d"]);
  await clock.advance(200);
  expect(await answers).toEqual(["a", "b", "c", "d", "e"]);
  expect(clock.pending).toBe(0);
});

test("one whose time is over before its turn was never sent, and is in nobody's way", async () => {
  const answers = [ask("a", 500), ask("b", 500), ask("c", 100, 400), ask("d", 100, 700)];
  await clock.advance(400);
  expect(await answers[2]).toBe("c busy");
  await clock.advance(200);
  expect(await Promise.all(answers)).toEqual(["a", "b", "c busy", "d"]);
  expect(begun).toEqual(["a", "b", "d"]);
});

test("one that fails hands its turn on", async () => {
  const fail = (): Promise<never> => Promise.reject(new RpcFailure("refused", "no"));
  const failures = [1, 2].map(() => lane.run(new Deadline(clock, 100), fail).catch(() => "failed"));
  const next = ask("next", 0);
  await clock.advance(0);
  expect(await Promise.all([...failures, next])).toEqual(["failed", "failed", "next"]);
});

test("closed: whoever waits gets no turn, nor does anybody later; what runs goes on", async () => {
  const answers = [ask("a", 100), ask("b", 100), ask("c", 100)];
  lane.close(new RpcFailure("closed", "closed"));
  expect(await answers[2]).toBe("c closed");
  expect(await ask("d", 100)).toBe("d closed");
  await clock.advance(100);
  expect(await Promise.all(answers.slice(0, 2))).toEqual(["a", "b"]);
});
