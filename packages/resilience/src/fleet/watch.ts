import { again, Backoff, isLeaseholdError, within, type Timer } from "@leasehold/core";

import type { FleetContext } from "./context.ts";

/** A look that takes longer has failed, unless the poll period is longer still. */
const lookTimeoutMs = 1_000;
/** The longest pause after failures, before jitter, unless the poll period is longer still. */
const longestRetryMs = 3_000;

/**
 * Follows something in the store. Pushed changes tell of it at once. Looks find out what a lost
 * push has not told: they come on demand and, while there is something to learn, at least every
 * `pollMs`.
 *
 * Looks are one at a time: each begins after the last one has ended, so none overtakes another.
 * They are spread, so that the nodes that hear of something at once do not ask at once ever after.
 */
export abstract class Watch<Change> {
  protected readonly context: FleetContext;
  readonly #backoff: Backoff;
  #current: Promise<boolean> = Promise.resolve(false);
  #next: Promise<boolean> | null = null;
  #ended = Promise.withResolvers<boolean>();
  #timer: Timer | null = null;
  #hasFailed = false;

  constructor(context: FleetContext) {
    this.context = context;
    const { pollMs, random } = context.settings;
    this.#backoff = new Backoff({ firstMs: pollMs, longestMs: Math.max(pollMs, longestRetryMs) }, random);
    context.closing.addEventListener("abort", () => this.#disarm(), { once: true });
  }

  protected abstract changes(): AsyncIterable<Change>;
  protected abstract heard(change: Change): void;
  /** Reads the store. Returns what draws the conclusions: not called after a time-out. */
  protected abstract read(): Promise<() => void>;
  protected abstract failed(error: unknown): void;
  /** Whether anything is to be learned by looking. */
  protected abstract isWanted(): boolean;

  /** Resolves when the breaker or the coordinator closes. Pushes that end otherwise begin anew. */
  async follow(): Promise<void> {
    const { closing: signal, settings } = this.context;
    const { clock, random } = settings;
    const isPassing = (error: unknown): boolean => !isLeaseholdError(error, "CLOSED");
    const hear = async (): Promise<void> => {
      for await (const change of this.changes()) {
        if (signal.aborted) return;
        this.heard(change);
      }
    };
    await again(hear, { clock, random, firstMs: 750, longestMs: 750, signal, isPassing }).catch(
      () => undefined,
    );
  }

  /** Resolves after a look that began now or later, with whether it was answered. Never rejects. */
  look(): Promise<boolean> {
    this.#next ??= this.#current.then(() => {
      this.#next = null;
      return (this.#current = this.#look());
    });
    return this.#next;
  }

  /** As `look`, but waits for the next look that anybody asks for. */
  nextLook(): Promise<boolean> {
    return this.#ended.promise;
  }

  /** There may be something to learn now: looks within a poll period, if so. */
  arm(): void {
    const { closing, settings } = this.context;
    const { clock, random, pollMs } = settings;
    if (this.#timer !== null || this.#next !== null || closing.aborted || !this.isWanted()) return;
    const delayMs = this.#hasFailed ? this.#backoff.nextMs() : pollMs * (0.5 + random.fraction() / 2);
    this.#timer = clock.schedule(delayMs, () => {
      this.#timer = null;
      void this.look();
    });
  }

  async #look(): Promise<boolean> {
    const { closing: signal, settings } = this.context;
    const limitMs = Math.max(settings.pollMs, lookTimeoutMs);
    this.#disarm();
    if (signal.aborted) return false;
    try {
      const conclude = await within(this.read(), { clock: settings.clock, limitMs, signal }, () => {
        throw new Error(`The store has not answered in ${limitMs} ms.`);
      });
      conclude();
      this.#hasFailed = false;
      this.#backoff.reset();
    } catch (error) {
      if (signal.aborted) return false;
      this.#hasFailed = true;
      this.failed(error);
    }
    this.#ended.resolve(!this.#hasFailed);
    this.#ended = Promise.withResolvers();
    this.arm();
    return !this.#hasFailed;
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
