/**
 * Turns "something may have changed" into an async iterator. The first step yields at once, each
 * later one after the next `notify`. Changes that come while nobody looks count as one, since one
 * look sees them all. The iterator ends with its signal.
 */
export class ChangeFeed implements AsyncIterable<void> {
  readonly #signal: AbortSignal;
  #changed = true;
  #ended = false;
  #wake: (() => void) | null = null;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    if (signal.aborted) this.#ended = true;
    else signal.addEventListener("abort", this.#end, { once: true });
  }

  /** Whether the iterator yields nothing any more. */
  get ended(): boolean {
    return this.#ended;
  }

  readonly notify = (): void => {
    this.#changed = true;
    this.#wake?.();
  };

  /** A look begins now: it sees whatever was told of so far. */
  looking(): void {
    this.#changed = false;
  }

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
      this.#end();
    }
  }

  readonly #end = (): void => {
    this.#ended = true;
    this.#signal.removeEventListener("abort", this.#end);
    this.#wake?.();
  };
}
