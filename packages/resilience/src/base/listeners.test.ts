import { expect, it } from "vitest";

import { Listeners } from "./listeners.ts";

it("calls each listener in order, as often as it was added; a removal removes one", () => {
  const heard: string[] = [];
  const listeners = new Listeners<string>();
  const one = (event: string): void => void heard.push(`one ${event}`);
  const remove = listeners.add(one);
  const twice = listeners.event(one);
  listeners.add((event) => heard.push(`other ${event}`));
  listeners.tell("a");
  remove();
  remove();
  listeners.tell("b");
  twice.dispose();
  listeners.tell("c");
  expect(heard).toEqual(["one a", "one a", "other a", "one b", "other b", "other c"]);
});

it("a listener that another one adds hears of the next event", () => {
  const heard: string[] = [];
  const listeners = new Listeners<string>();
  const listen = (event: string): void => {
    heard.push(event);
    listeners.add(listen);
  };
  expect(listeners.any).toBe(false);
  listen("none");
  expect(listeners.any).toBe(true);
  listeners.tell("a");
  listeners.tell("b");
  expect(heard).toEqual(["none", "a", "b", "b"]);
});

it("turns the rejection of an async listener into a process warning", async () => {
  const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
  const listeners = new Listeners<string>();
  listeners.add((event): unknown => Promise.reject(new Error(`no sink for ${event}`)));
  listeners.tell("a");
  expect((await warned).message).toBe("A listener of a Leasehold policy threw: Error: no sink for a");
});
