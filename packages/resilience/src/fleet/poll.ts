import { isLeaseholdError, sleep, type Clock, type Random, type Timer } from "@leasehold/core";

export interface PollOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** The longest time between two reads that go well, in milliseconds. */
  readonly periodMs: number;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Whether anything is to be learned by reading: asked after each read, and by `arm`. */
  readonly isWanted: () => boolean;
  /** Told of each read. An error is the store's: it is out of reach, for this once. */
  readonly onRead: (error: Error | null) => void;
}

/** A read that takes longer than this has failed, if the period is not longer: what it says then is no news. */
const readTimeoutMs = 1_000;
/** After failures the store is asked again after this long at most, if the period is not longer. */
const longestRetryMs = 5_000;

/**
 * Reads from the store: when told to, and again and again for as long as there is something to learn. One read at a time:
 * each begins after the last one has ended, so they cannot overtake each other. Spread, so that a fleet which hears of
 * something at once does not ask at once for ever after.
 */
export class Poll {
  readonly #read: () => Promise<() => void>;
  readonly #options: PollOptions;
  #current: Promise<boolean> = Promise.resolve(false);
  #next: Promise<boolean> | null = null;
  #timer: Timer | null = null;
  #failures = 0;

  /** `read` answers with what draws the conclusions; that is not called when the answer came too late. */
  constructor(read: () => Promise<() => void>, options: PollOptions) {
    this.#read = read;
    this.#options = options;
    options.signal.addEventListener("abort", () => this.#disarm(), { once: true });
  }

  /** Resolves after a read that began at this call or later, and says whether it was answered. Never rejects. */
  now(): Promise<boolean> {
    this.#next ??= this.#current.then(() => {
      this.#next = null;
      return (this.#current = this.#once());
    });
    return this.#next;
  }

  /** There may be something to learn now: reads within a period, if so. */
  arm(): void {
    const { clock, signal, isWanted } = this.#options;
    if (this.#timer !== null || this.#next !== null || signal.aborted || !isWanted()) return;
    this.#timer = clock.schedule(this.#delayMs(), () => {
      this.#timer = null;
      void this.now();
    });
  }

  async #once(): Promise<boolean> {
    const { signal, onRead } = this.#options;
    this.#disarm();
    if (signal.aborted) return false;
    let failure: Error | null = null;
    try {
      const conclude = await this.#inTime(this.#read());
      if (signal.aborted) return false;
      conclude();
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      failure = error instanceof Error ? error : new Error(String(error));
    }
    if (signal.aborted) return false;
    onRead(failure);
    this.arm();
    return failure === null;
  }

  async #inTime<T>(read: Promise<T>): Promise<T> {
    const { clock, periodMs } = this.#options;
    const { promise: late, reject } = Promise.withResolvers<never>();
    const limitMs = Math.max(periodMs, readTimeoutMs);
    const timer = clock.schedule(limitMs, () =>
      reject(new Error(`The store has not answered in ${limitMs} ms.`)),
    );
    try {
      return await Promise.race([read, late]);
    } finally {
      timer.cancel();
    }
  }

  #delayMs(): number {
    const { periodMs, random } = this.#options;
    const delayMs = Math.min(periodMs * 2 ** this.#failures, Math.max(periodMs, longestRetryMs));
    return delayMs * (0.5 + random.fraction() / 2);
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}

/**
 * Takes each thing that `source` yields, until `signal` aborts or the coordinator closes. A source that fails is opened
 * again after a while.
 */
export async function follow<T>(
  source: () => AsyncIterable<T>,
  take: (item: T) => void,
  { clock, random, signal }: Pick<PollOptions, "clock" | "random" | "signal">,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const item of source()) {
        if (signal.aborted) return;
        take(item);
      }
      return;
    } catch (error) {
      if (isLeaseholdError(error, "CLOSED")) return;
      await sleep(clock, 500 + 500 * random.fraction(), signal);
    }
  }
}
