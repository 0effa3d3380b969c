import { Health, sleep, systemRandom } from "@leasehold/core";
import { SimClock } from "@leasehold/testing";
import type { CallOptions } from "@grpc/grpc-js";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { Calls, type UnaryOptions } from "./calls.ts";
import { Endpoints } from "./endpoints.ts";

let clock: SimClock;
let endpoints: Endpoints;
let calls: Calls;
beforeEach(() => {
  clock = new SimClock();
  endpoints = new Endpoints({ hosts: "http://127.0.0.1:1" }, clock, systemRandom);
  calls = new Calls(endpoints, { clock, health: new Health(clock), probe: Buffer.from("probe") });
  onTestFinished(() => {
    calls.close();
    endpoints.close();
  });
});

/** A request that leaves at once, and is answered after so long. */
function ask(afterMs: number, timeoutMs: number, turn: UnaryOptions["turn"] = "none"): Promise<string> {
  const outcome = calls.unary(
    async (_, options: CallOptions) => {
      await options.credentials?.generateMetadata({ method_name: "", service_url: "" });
      await sleep(clock, afterMs);
      return "answered";
    },
    timeoutMs,
    { turn },
  );
  return outcome.catch((error: unknown) => String((error as { kind?: string }).kind));
}

test("a call that is answered late fails alone, while its connection answers others", async () => {
  const { client } = endpoints.current;
  const late = ask(5_000, 1_000);
  const slow = ask(1_900, 2_000);
  const others = Array.from({ length: 10 }, (_, index) => ask(100 * (index + 1), 2_000));
  await clock.advance(2_000);
  expect(await late).toBe("unanswered");
  expect(await Promise.all([slow, ...others])).toEqual(Array.from({ length: 11 }, () => "answered"));
  expect(endpoints.current.client, "the connection is what it was").toBe(client);
});

test("a silent connection is given up; what was asked on it is not waited for much longer", async () => {
  const { client } = endpoints.current;
  const [first, second] = [ask(60_000, 400), ask(60_000, 5_000)];
  let ended = "";
  void second.then((kind) => (ended = kind));
  await clock.advance(500);
  expect(await first).toBe("unanswered");
  expect(endpoints.current.client).not.toBe(client);
  expect(ended).toBe("");
  await clock.advance(1_000);
  expect(ended).toBe("unanswered");
});

test("a connection that was given up and answers after all: the others on it keep their time", async () => {
  const outcomes = [ask(60_000, 400), ask(900, 5_000), ask(3_000, 5_000)];
  await clock.advance(5_000);
  expect(await Promise.all(outcomes)).toEqual(["unanswered", "answered", "answered"]);
});

test("our own loop was late: what has arrived is read before a call is given up", async () => {
  const { client } = endpoints.current;
  // Both timers are due at once, and the call's own comes first.
  const call = ask(1_000, 1_000);
  await clock.advance(1_001);
  expect(await call).toBe("answered");
  expect(endpoints.current.client).toBe(client);
});

test("ten thousand that begin are sent by and by; what keeps alive, and what ends, goes beside them", async () => {
  const burst = Array.from({ length: 10_000 }, () => ask(100, 2_000, "ordinary"));
  const beside = [ask(100, 200, "renewals"), ask(100, 200, "ends"), ask(100, 200, "none")];
  await clock.advance(200);
  expect(await Promise.all(beside)).toEqual(["answered", "answered", "answered"]);
  await clock.advance(2_000);
  const outcomes = await Promise.all(burst);
  expect(new Set(outcomes)).toEqual(new Set(["answered", "busy"]));
  expect(outcomes.indexOf("busy"), "in order").toBe(outcomes.lastIndexOf("answered") + 1);
});
