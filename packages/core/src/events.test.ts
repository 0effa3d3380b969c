import { subscribe, unsubscribe } from "node:diagnostics_channel";

import { SimClock } from "@leasehold/testing";
import { expect, it, vi } from "vitest";

import { createCoordinator } from "./coordinator.ts";
import type { LeaseholdEvent } from "./events.ts";
import { memoryBackend } from "./memory/index.ts";

it("tells the callback and the diagnostics channel the same, and never a full owner", async () => {
  const published: unknown[] = [];
  const listen = (event: unknown): void => void published.push(event);
  const channels = ["acquired", "queued", "granted", "released"].map((type) => `leasehold:${type}`);
  for (const name of channels) subscribe(name, listen);
  const events: LeaseholdEvent[] = [];
  const clock = new SimClock();
  const coordinator = createCoordinator({
    backend: memoryBackend({ clock }),
    onEvent: (event) => void events.push(event),
  });
  const first = await coordinator.lock("a").acquire();
  const waiting = coordinator.lock("a").acquire();
  await clock.advance(40);
  await first.release();
  const second = await waiting;
  await second.release();
  for (const name of channels) unsubscribe(name, listen);

  expect(events.map(({ type }) => type)).toEqual([
    "acquired",
    "queued",
    "granted",
    "acquired",
    "released",
    "released",
  ]);
  expect(published).toEqual(events);
  expect(events[3]).toMatchObject({
    recipe: "lock",
    name: "a",
    fencingToken: second.fencingToken,
    waitedMs: 40,
  });
  const text = JSON.stringify(events, (_key, value: unknown) =>
    typeof value === "bigint" ? `${value}` : value,
  );
  expect(text).toContain(first.owner.slice(0, 8));
  expect(text).not.toContain(first.owner);
});

it("turns the rejection of an async listener into a process warning, and goes on", async () => {
  const warned: string[] = [];
  const listen = (warning: Error): void => void warned.push(warning.message);
  process.on("warning", listen);
  const coordinator = createCoordinator({
    backend: memoryBackend({ clock: new SimClock() }),
    // What the type says, void, also lets an async function in.
    onEvent: ({ type }): unknown => Promise.reject(new Error(`no sink for ${type}`)),
  });
  expect(await coordinator.lock("a").run(() => "done")).toBe("done");
  await vi.waitFor(() => expect(warned).toHaveLength(2));
  process.off("warning", listen);
  expect(warned.join()).toMatch(
    /"acquired": Error: no sink for acquired.*"released": Error: no sink for released/,
  );
});
