import type { ChangeListener } from "@leasehold/core";
import type { KeyRange } from "../format/claim-keys.ts";
import type { WatchHub } from "../rpc/watch-hub.ts";

interface ResourceWatch {
  readonly end: () => void;
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
  readonly #hub: WatchHub;
  readonly #rangeOf: (resource: string) => KeyRange;
  readonly #watches = new Map<string, ResourceWatch>();

  constructor(hub: WatchHub, rangeOf: (resource: string) => KeyRange) {
    this.#hub = hub;
    this.#rangeOf = rangeOf;
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

  /** Ends all watches. */
  close(): void {
    for (const [resource, { listeners }] of this.#watches)
      for (const tell of listeners) this.#leave(resource, listeners, tell);
  }

  #open(resource: string): ResourceWatch {
    const listeners = new Set<ChangeListener>();
    const tellAll = (): void => {
      for (const tell of listeners) tell();
    };
    const end = this.#hub.watch(this.#rangeOf(resource), "changes", {
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
    const opened: ResourceWatch = { end, begun: false, listeners };
    return opened;
  }

  #leave(resource: string, listeners: Set<ChangeListener>, tell: ChangeListener): void {
    if (!listeners.delete(tell) || listeners.size > 0) return;
    const left = this.#watches.get(resource);
    if (left?.listeners !== listeners) return;
    this.#watches.delete(resource);
    left.end();
  }
}
