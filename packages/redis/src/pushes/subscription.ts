import type { Clock } from "@leasehold/core";

export interface ChannelListener {
  readonly onMessage: (message: string) => void;
  /** The subscription stands, for the first time or again. What was published before went unheard. */
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
  readonly #waiting = new Set<() => void>();
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
   * Resolves when the channel is heard. Also when that does not succeed, or not in `timeoutMs`: what is pushed is a hint,
   * and who is not pushed asks. So only the first callers wait, not each one during an outage.
   */
  settled(timeoutMs: number): Promise<void> {
    if (this.#closed || this.isOpen || !this.#channel.isHopeful()) return Promise.resolve();
    return new Promise((resolve) => {
      const settle = (): void => {
        timer.cancel();
        this.#waiting.delete(settle);
        resolve();
      };
      const timer = this.#clock.schedule(timeoutMs, settle, { keepAlive: true });
      this.#waiting.add(settle);
    });
  }

  /** Lets go all who wait: there is news, good or bad. */
  wake(): void {
    for (const settle of this.#waiting) settle();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.wake();
    this.#channel.onClose();
  }
}
