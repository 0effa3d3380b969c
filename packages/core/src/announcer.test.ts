import { AsyncLocalStorage } from "node:async_hooks";

import { beforeEach, expect, it } from "vitest";

import { Announcer } from "./announcer.ts";
import { captureScope } from "./base/scope.ts";
import type { LeaseholdEvent } from "./events.ts";

const storage = new AsyncLocalStorage<string>();

let steps: string[];
let reactions: Map<string, () => void>;
let announcer: Announcer;

const event = (name: string): LeaseholdEvent => ({ type: "queued", recipe: "lock", name, claim: "0" });

beforeEach(() => {
  steps = [];
  reactions = new Map();
  announcer = new Announcer((told) => {
    const name = told.type === "queued" ? told.name : "";
    steps.push(`begin ${name}`);
    reactions.get(name)?.();
    steps.push(`end ${name}`);
  });
});

it("tells at once, and one at a time: what a listener sets off is told after it", () => {
  reactions.set("a", () => announcer.tell(event("b")));
  announcer.tell(event("a"));
  expect(steps).toEqual(["begin a", "end a", "begin b", "end b"]);
});

it("tells nothing before the work is done, also where work is within work, or fails", () => {
  const failing = (): void =>
    announcer.before(() => {
      announcer.before(() => announcer.tell(event("a")));
      announcer.tell(event("b"));
      steps.push("done");
      throw new Error("the work's own");
    });
  expect(failing).toThrow("the work's own");
  expect(steps).toEqual(["done", "begin a", "end a", "begin b", "end b"]);
});

it("looks ahead of each event, and what the look finds is told in its turn", () => {
  let looks = 0;
  announcer.onEach(() => {
    looks += 1;
    if (looks === 1) announcer.before(() => announcer.tell(event("found")));
  });
  announcer.before(() => ["a", "b"].forEach((name) => announcer.tell(event(name))));
  expect(steps.filter((step) => step.startsWith("begin"))).toEqual(["begin a", "begin b", "begin found"]);
  expect(looks).toBe(3);
});

it("tells each event in the context of its own, however late it is told", () => {
  const heard: (string | undefined)[] = [];
  const inContext = new Announcer(() => heard.push(storage.getStore()));
  const scope = storage.run("given", captureScope);
  storage.run("work", () =>
    inContext.before(() => {
      storage.run("present", () => inContext.tell(event("a")));
      inContext.tell(event("b"), scope);
    }),
  );
  storage.run("alone", () => inContext.tell(event("c")));
  expect(heard).toEqual(["present", "given", "alone"]);
});
