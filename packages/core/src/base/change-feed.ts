/**
 * Turns "something may have changed" into an async iterator: the first step yields at once, each later one after the next
 * `notify`. Changes that come while nobody is looking are one, for a look sees them all. Ends with its signal.
 */
export class ChangeFeed implements AsyncIterable<void> {
  readonly #signal: AbortSignal;
  readonly #onEnd: () => void;
  #changed = true;
  #ended = false;
  #wake: (() => void) | null = null;

  /** `onEnd` is called once: when the signal aborts, or the reader stops reading. */
  constructor(signal: AbortSignal, onEnd: () => void = () => {}) {
    this.#signal = signal;
    this.#onEnd = onEnd;
    if (signal.aborted) this.end();
    else signal.addEventListener("abort", this.end, { once: true });
  }

  readonly notify = (): void => {
    this.#changed = true;
    this.#wake?.();
  };

  readonly end = (): void => {
    if (this.#ended) return;
    this.#ended = true;
    this.#signal.removeEventListener("abort", this.end);
    this.#onEnd();
    this.#wake?.();
  };

  async *[Symbol.asyncIterator](): AsyncGenerator<void, void, undefined> {
    try {
      while (!this.#ended) {
        if (this.#changed) {
          this.#changed = false;
          yield;
        } else {
          await new Promise<void>((resolve) => (this.#wake = resolve));
          this.#wake = null;
        }
      }
    } finally {
      this.end();
    }
  }
}
