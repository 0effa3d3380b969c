import { getEventListeners } from "node:events";
import { setImmediate as turn } from "node:timers/promises";

import { describe, expect, it } from "vitest";

import { ChangeFeed } from "./change-feed.ts";

interface Reader {
  readonly seen: () => number;
  readonly hasEnded: () => boolean;
}

/** Reads until the feed ends. Each look takes a turn of the event loop, as a request does. */
function read(feed: ChangeFeed): Reader {
  let seen = 0;
  let ended = false;
  const run = async (): Promise<void> => {
    for await (const _ of feed) {
      seen += 1;
      await turn();
    }
    ended = true;
  };
  void run();
  return { seen: () => seen, hasEnded: () => ended };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await turn();
}

describe("ChangeFeed", () => {
  it("yields at once, and then only after a change", async () => {
    const feed = new ChangeFeed(new AbortController().signal);
    const reader = read(feed);
    await settle();
    expect(reader.seen()).toBe(1);
    feed.notify();
    await settle();
    expect(reader.seen()).toBe(2);
  });

  it("makes one look of many changes, and loses none that comes while the reader looks", async () => {
    const feed = new ChangeFeed(new AbortController().signal);
    for (let i = 0; i < 3; i++) feed.notify();
    const steps = feed[Symbol.asyncIterator]();
    await steps.next();
    // The reader is looking: it may have read before these changes.
    feed.notify();
    feed.notify();
    expect(await steps.next()).toEqual({ done: false, value: undefined });
    let third = false;
    void steps.next().then(() => (third = true));
    await settle();
    expect(third, "two changes, one look").toBe(false);
    feed.notify();
    await settle();
    expect(third).toBe(true);
  });

  it("ends with its signal, while waiting and while a change is pending", async () => {
    for (const pending of [false, true]) {
      const aborter = new AbortController();
      const feed = new ChangeFeed(aborter.signal);
      const reader = read(feed);
      await settle();
      if (pending) feed.notify();
      aborter.abort();
      await settle();
      expect({ ended: feed.ended, told: reader.hasEnded() }).toEqual({ ended: true, told: true });
      feed.notify();
      await settle();
      expect(reader.seen()).toBe(1);
    }
  });

  it("has ended from the start when its signal has aborted before", async () => {
    const feed = new ChangeFeed(AbortSignal.abort());
    const reader = read(feed);
    await settle();
    expect({ seen: reader.seen(), told: reader.hasEnded(), ended: feed.ended }).toEqual({
      seen: 0,
      told: true,
      ended: true,
    });
  });

  it("ends when its reader leaves, and leaves no listener on the signal", async () => {
    const { signal } = new AbortController();
    for (let i = 0; i < 3; i++) {
      const feed = new ChangeFeed(signal);
      for await (const _ of feed) break;
      expect(feed.ended).toBe(true);
    }
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});
