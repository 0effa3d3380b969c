import type { ChangeListener, Random } from "@leasehold/core";
import type { KeyRange } from "../format/claim-keys.ts";
import type { Calls } from "../rpc/calls.ts";
import { LastingWatch } from "./lasting-watch.ts";

interface ResourceWatch {
  readonly watch: LastingWatch;
  /** Whether it stands, or could not be made so far: an observer is not to wait for an outage. */
  begun: boolean;
  readonly listeners: Set<ChangeListener>;
}

/**
 * Watches resources, or records, for observers: one watch per name, however many observers this
 * process has, and none once the last of them has gone. Every put and every deletion under the name
 * is a change, of claims of any capacity; so nobody has to announce anything.
 */
export class ResourceWatches {
  readonly #calls: Calls;
  readonly #rangeOf: (resource: string) => KeyRange;
  readonly #random: Random;
  readonly #watches = new Map<string, ResourceWatch>();
  readonly #closing = new Set<Promise<void>>();

  constructor(calls: Calls, rangeOf: (resource: string) => KeyRange, random: Random) {
    this.#calls = calls;
    this.#rangeOf = rangeOf;
    this.#random = random;
  }

  /** Tells the listener of changes until the function that this returns is called. */
  watch(resource: string, listener: ChangeListener): () => void {
    let watch = this.#watches.get(resource);
    if (watch === undefined) {
      watch = this.#open(resource);
      this.#watches.set(resource, watch);
    }
    const { listeners } = watch;
    // In a function of its own, so that one listener may be given twice.
    const tell = (): void => listener();
    listeners.add(tell);
    if (watch.begun)
      queueMicrotask(() => {
        if (listeners.has(tell)) tell();
      });
    return () => this.#leave(resource, listeners, tell);
  }

  /** Ends all watches. Resolves when they have ended. */
  async close(): Promise<void> {
    for (const [resource, { listeners }] of this.#watches)
      for (const tell of listeners) this.#leave(resource, listeners, tell);
    await Promise.all(this.#closing);
  }

  #open(resource: string): ResourceWatch {
    const listeners = new Set<ChangeListener>();
    const tellAll = (): void => {
      for (const tell of listeners) tell();
    };
    const watch = new LastingWatch(this.#calls, this.#random, this.#rangeOf(resource), "changes", {
      created: () => {
        opened.begun = true;
        tellAll();
      },
      heard: tellAll,
      broken: () => {
        if (opened.begun) return;
        opened.begun = true;
        tellAll();
      },
    });
    const opened: ResourceWatch = { watch, begun: false, listeners };
    return opened;
  }

  #leave(resource: string, listeners: Set<ChangeListener>, tell: ChangeListener): void {
    if (!listeners.delete(tell) || listeners.size > 0) return;
    const left = this.#watches.get(resource);
    if (left?.listeners !== listeners) return;
    this.#watches.delete(resource);
    const closing = left.watch.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}
