import { LeaseholdError, type ChangeListener } from "@leasehold/core";
import type { Subscriber } from "./subscriber.ts";

/** A watch waits for its subscription this long, in milliseconds, before it begins without. */
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
   * Tells the listener when the subscription stands, so that no change after the look that follows
   * goes unheard; each time that it stands again; and when something was published. Where it cannot
   * be made in time the listener is told without, and again when it stands.
   *
   * @throws `CLOSED` after `close`.
   */
  watch(channel: string, listener: ChangeListener): () => void {
    if (this.#closed) throw new LeaseholdError("CLOSED", "This Redis backend is closed.");
    let ended = false;
    let begun = false;
    const tell = (): void => {
      if (ended) return;
      begun = true;
      listener();
    };
    const subscription = this.#subscriber.subscribe(channel, { onMessage: tell, onOpen: tell });
    // A channel that others listen to already does not open for us: its standing is our beginning.
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
