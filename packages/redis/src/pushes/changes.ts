import { ChangeFeed, LeaseholdError } from "@leasehold/core";
import type { Subscriber } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";

/** How long a watch waits for its subscription before it begins without: the first look may then miss what follows it. */
const BEGIN_MS = 2_000;

/** Watches of resources, over the channels on which their changes are announced. */
export class Changes {
  readonly #subscriber: Subscriber;
  readonly #closing = new AbortController();

  constructor(subscriber: Subscriber) {
    this.#subscriber = subscriber;
  }

  /**
   * Yields when the subscription stands, so that no change after the look that follows goes unheard; each time that it stands
   * again; and when something was published. Where it cannot be made in time it yields without, and again when it stands.
   *
   * @throws `CLOSED` after `close`.
   */
  watch(channel: string, signal: AbortSignal): AsyncIterable<void> {
    if (this.#closing.signal.aborted) throw new LeaseholdError("CLOSED", "This Redis backend is closed.");
    const ended = AbortSignal.any([signal, this.#closing.signal]);
    let subscription: Subscription | undefined;
    const feed: ChangeFeed = new ChangeFeed(ended, () => subscription?.close());
    if (!ended.aborted)
      subscription = this.#subscriber.subscribe(channel, { onMessage: feed.notify, onOpen: feed.notify });
    async function* follow(): AsyncGenerator<void, void, undefined> {
      await subscription?.settled(BEGIN_MS);
      yield* feed;
    }
    return follow();
  }

  /** Ends all watches. */
  close(): void {
    this.#closing.abort();
  }
}
