import { ChangeFeed, type Random } from "@leasehold/core";
import type { Calls } from "../rpc/calls.ts";
import type { KeyRange } from "../format/claim-keys.ts";
import { LastingWatch } from "./lasting-watch.ts";

interface ResourceWatch {
  readonly watch: LastingWatch;
  /** Settles when it stands, or could not be made so far: whoever looks on is not to wait for an outage to end. */
  readonly begun: Promise<void>;
  readonly feeds: Set<ChangeFeed>;
}

/**
 * Watches resources, or records, for those who look on: one watch per name, however many observers this process has, and
 * none once the last of them has gone. Every put and every deletion under the name is a change, claims of any capacity; so
 * nobody has to announce anything.
 */
export class ResourceWatches {
  readonly #calls: Calls;
  readonly #rangeOf: (resource: string) => KeyRange;
  readonly #random: Random;
  readonly #interrupted: (message: string) => void;
  readonly #watches = new Map<string, ResourceWatch>();
  readonly #closing = new Set<Promise<void>>();

  /** `interrupted`: changes may be missed until the watch stands again. Once per outage and resource. */
  constructor(
    calls: Calls,
    rangeOf: (resource: string) => KeyRange,
    random: Random,
    interrupted: (message: string) => void,
  ) {
    this.#calls = calls;
    this.#rangeOf = rangeOf;
    this.#random = random;
    this.#interrupted = interrupted;
  }

  /** Looks on until `signal` aborts, the reader stops reading, or this is closed. */
  watch(resource: string, signal: AbortSignal): AsyncIterable<void> {
    if (signal.aborted) return new ChangeFeed(signal);
    const ended = Promise.withResolvers<void>();
    const feed: ChangeFeed = new ChangeFeed(signal, () => {
      ended.resolve();
      this.#leave(resource, feed);
    });
    let watch = this.#watches.get(resource);
    if (watch === undefined) {
      watch = this.#open(resource);
      this.#watches.set(resource, watch);
    }
    watch.feeds.add(feed);
    return after(Promise.race([watch.begun, ended.promise]), feed);
  }

  /** Ends all feeds and all watches. Resolves when they have ended. */
  async close(): Promise<void> {
    for (const { feeds } of [...this.#watches.values()]) for (const feed of [...feeds]) feed.end();
    await Promise.all(this.#closing);
  }

  #open(resource: string): ResourceWatch {
    const begun = Promise.withResolvers<void>();
    const feeds = new Set<ChangeFeed>();
    const watch = new LastingWatch(this.#calls, this.#random, this.#rangeOf(resource), "changes", {
      created: () => {
        begun.resolve();
        // Those who are there from the beginning have not looked yet, so this is not another change to them.
        for (const feed of feeds) feed.notify();
      },
      heard: () => {
        for (const feed of feeds) feed.notify();
      },
      broken: (message, first) => {
        begun.resolve();
        if (first) this.#interrupted(message);
      },
    });
    return { watch, begun: begun.promise, feeds };
  }

  #leave(resource: string, feed: ChangeFeed): void {
    const left = this.#watches.get(resource);
    if (left === undefined || !left.feeds.delete(feed) || left.feeds.size > 0) return;
    this.#watches.delete(resource);
    const closing = left.watch.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}

/** The feed, from when `begun` settles. */
async function* after(begun: Promise<void>, feed: ChangeFeed): AsyncGenerator<void, void, undefined> {
  try {
    await begun;
    yield* feed;
  } finally {
    feed.end();
  }
}
