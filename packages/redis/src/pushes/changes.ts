import type { ChangeListener } from "@leasehold/core";
import { closedError } from "../client/readiness.ts";
import type { Subscriber } from "./subscriber.ts";

/** How long a watch waits for its subscription, in milliseconds, before it begins without. */
const BEGIN_MS = 2_000;

/** Watches of resources and records, over the channels on which their changes are announced. */
export class Changes {
  readonly #subscriber: Subscriber;
  readonly #ends = new Set<() => void>();
  #closed = false;

  constructor(subscriber: Subscriber) {
    this.#subscriber = subscriber;
  }

  /**
   * Tells the listener three things: that the subscription stands, that it stands again, and that
   * something was published. So no change after the look that follows goes unheard. If the
   * subscription takes too long, the listener is told without it, and again when it stands.
   *
   * @returns A function that ends the watch.
   * @throws `CLOSED` after `close`.
   */
  watch(channel: string, listener: ChangeListener): () => void {
    if (this.#closed) throw closedError();
    let ended = false;
    let begun = false;
    const tell = (): void => {
      if (ended) return;
      begun = true;
      listener();
    };
    const subscription = this.#subscriber.subscribe(channel, { onMessage: tell, onOpen: tell });
    // A channel that others listen to already is open, and does not open for us.
    void subscription.settled(BEGIN_MS).then(() => {
      if (!begun) tell();
    });
    const end = (): void => {
      ended = true;
      this.#ends.delete(end);
      subscription.close();
    };
    this.#ends.add(end);
    return end;
  }

  /** Ends all watches. */
  close(): void {
    this.#closed = true;
    for (const end of this.#ends) end();
  }
}
