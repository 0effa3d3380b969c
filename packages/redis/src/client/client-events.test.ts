import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import type { RedisClient } from "./client.ts";
import { listenTo, type ClientListener } from "./client-events.ts";

function noting(heard: string[]): ClientListener {
  const note = (what: string) => (): void => void heard.push(what);
  return {
    connecting: note("connecting"),
    ready: note("ready"),
    closed: note("closed"),
    ended: note("ended"),
    failed: note("failed"),
    nodeLost: note("node lost"),
  };
}

test("any number of listeners is one to the client, and none is left behind", () => {
  const emitter = new EventEmitter();
  const client = emitter as unknown as RedisClient;
  const heard: string[] = [];
  const stops = Array.from({ length: 50 }, () => listenTo(client, noting(heard)));
  const events = emitter.eventNames();
  expect(events.map((event) => emitter.listenerCount(event))).toEqual(events.map(() => 1));
  emitter.emit("ready");
  expect(heard).toHaveLength(50);
  for (const stop of stops) {
    stop();
    stop();
  }
  expect(emitter.eventNames()).toEqual([]);
  listenTo(client, noting(heard));
  emitter.emit("error", new Error("refused"));
  expect(heard.at(-1)).toBe("failed");
});

test("a node that a Cluster finds later is listened to, as those from before", () => {
  const before = new EventEmitter();
  const emitter = Object.assign(new EventEmitter(), { isCluster: true, nodes: () => [before] });
  const heard: string[] = [];
  const stop = listenTo(emitter as unknown as RedisClient, noting(heard));
  const later = new EventEmitter();
  emitter.emit("+node", later);
  before.emit("close");
  later.emit("close");
  expect(heard).toEqual(["node lost", "node lost"]);
  stop();
  expect(before.eventNames()).toEqual([]);
});
