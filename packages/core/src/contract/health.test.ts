import { SimClock } from "@leasehold/testing";
import { expect, test } from "vitest";

import { Health } from "./health.ts";

function listening(): { health: Health; clock: SimClock; heard: string[] } {
  const clock = new SimClock();
  const health = new Health(clock);
  const heard: string[] = [];
  health.onDegraded(({ reason, message }) => heard.push(`${reason}: ${message}`));
  health.onRestored(({ reason, afterMs }) => heard.push(`${reason} over after ${afterMs}`));
  return { health, clock, heard };
}

test("a lasting degradation is told once, and once more when it is over", async () => {
  const { health, clock, heard } = listening();
  health.restored("unreachable");
  health.degraded({ reason: "unreachable", message: "no answer" });
  health.degraded({ reason: "unreachable", message: "again no answer" });
  expect(health.has("unreachable")).toBe(true);
  await clock.advance(250);
  health.restored("unreachable");
  health.restored("unreachable");
  expect(health.has("unreachable")).toBe(false);
  expect(heard).toEqual(["unreachable: no answer", "unreachable over after 250"]);
  health.degraded({ reason: "unreachable", message: "the next outage" });
  expect(heard.at(-1)).toBe("unreachable: the next outage");
});

test("it is over when nothing suffers from it any more", () => {
  const { health, heard } = listening();
  health.degraded({ reason: "pushes-interrupted", message: "a broke" }, "a");
  health.degraded({ reason: "pushes-interrupted", message: "b broke" }, "b");
  health.restored("pushes-interrupted", "a");
  health.restored("pushes-interrupted", "stranger");
  expect(heard).toEqual(["pushes-interrupted: a broke"]);
  health.restored("pushes-interrupted", "b");
  expect(heard).toHaveLength(2);
});

test("a malformed record is told each time: each may be another one", () => {
  const { health, heard } = listening();
  health.degraded({ reason: "malformed-record", message: "one" });
  health.degraded({ reason: "malformed-record", message: "two" });
  expect(heard).toEqual(["malformed-record: one", "malformed-record: two"]);
});

test("whoever stopped listening hears nothing", () => {
  const health = new Health(new SimClock());
  const heard: unknown[] = [];
  const stops = [health.onDegraded((it) => heard.push(it)), health.onRestored((it) => heard.push(it))];
  for (const stop of stops) stop();
  health.degraded({ reason: "refusing", message: "no" });
  health.restored("refusing");
  expect(heard).toEqual([]);
});
