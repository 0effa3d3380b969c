import { expect, it } from "vitest";

import { Turns } from "./turns.ts";

/** Work that notes its begin and ends when it is told to. */
function works(count: number): { begun: number[]; ends: (() => void)[]; work: (() => Promise<number>)[] } {
  const begun: number[] = [];
  const gates = Array.from({ length: count }, () => Promise.withResolvers<void>());
  const work = gates.map(({ promise }, index) => async () => {
    begun.push(index);
    await promise;
    return index;
  });
  return { begun, ends: gates.map(({ resolve }) => resolve), work };
}

it("begins at once while there is room, then one for each that ends, in order", async () => {
  const turns = new Turns(2);
  const { begun, ends, work } = works(4);
  const results = work.map((each) => turns.run(each));
  expect(begun).toEqual([0, 1]);
  ends[1]!();
  await results[1];
  await Promise.resolve();
  expect(begun).toEqual([0, 1, 2]);
  for (const end of ends) end();
  expect(await Promise.all(results)).toEqual([0, 1, 2, 3]);
});

it("hands the turn of a failure on", async () => {
  const turns = new Turns(1);
  const failed = turns.run(() => Promise.reject(new Error("its own")));
  const next = turns.run(async () => "next");
  await expect(failed).rejects.toThrow("its own");
  expect(await next).toBe("next");
});

it("drops whoever waits, and serves whoever comes later", async () => {
  const turns = new Turns(1);
  const { begun, ends, work } = works(2);
  const [running, waiting] = work.map((each) => turns.run(each));
  const dropped = expect(waiting).rejects.toThrow("closed");
  turns.drop(new Error("closed"));
  await dropped;
  ends[0]!();
  expect(await running).toBe(0);
  expect(begun).toEqual([0]);
  expect(await turns.run(async () => "later")).toBe("later");
});
