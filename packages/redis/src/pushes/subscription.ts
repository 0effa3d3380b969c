import { within, type Clock } from "@leasehold/core";

export interface ChannelListener {
  readonly onMessage: (message: string) => void;
  /**
   * The subscription stands, for the first time or again. What was published before went unheard.
   */
  readonly onOpen: () => void;
}

/** What a subscription knows of its channel. */
interface ChannelView {
  readonly isOpen: () => boolean;
  /** Whether it is worth waiting for. */
  readonly isHopeful: () => boolean;
  readonly onClose: () => void;
}

/** One listener's part in a channel that others may listen to, too. */
export class Subscription {
  readonly listener: ChannelListener;
  readonly #clock: Clock;
  readonly #channel: ChannelView;
  #news = Promise.withResolvers<void>();
  #closed = false;

  constructor(listener: ChannelListener, clock: Clock, channel: ChannelView) {
    this.listener = listener;
    this.#clock = clock;
    this.#channel = channel;
  }

  get isOpen(): boolean {
    return this.#channel.isOpen() && !this.#closed;
  }

  /**
   * Resolves when the channel is heard; also when that fails, or takes longer than `timeoutMs`.
   * A push is only a hint: a claim that is not pushed is asked about. So during an outage the first
   * callers wait, and not each one.
   */
  async settled(timeoutMs: number): Promise<void> {
    if (this.#closed || this.isOpen || !this.#channel.isHopeful()) return;
    const bound = { clock: this.#clock, limitMs: timeoutMs, keepAlive: true };
    await within(this.#news.promise, bound, () => {});
  }

  /** Ends all waits: there is news, good or bad. */
  wake(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.wake();
    this.#channel.onClose();
  }
}
