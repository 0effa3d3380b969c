import { elapsedMs, sleep, type Clock } from "./clock.ts";
import type { Random } from "./random.ts";

export interface Pace {
  /** The pause after the first failure, in milliseconds, before jitter. */
  readonly firstMs: number;
  /** Each pause is twice the one before it, up to this. */
  readonly longestMs: number;
}

/**
 * The pauses between tries: they double, and each is drawn from half to one and a half of its
 * length. So the clients of a server that comes back do not come back all at once.
 */
export class Backoff {
  readonly #pace: Pace;
  readonly #random: Random;
  #failures = 0;

  constructor(pace: Pace, random: Random) {
    this.#pace = pace;
    this.#random = random;
  }

  /** The pause before the next try, in milliseconds. */
  nextMs(): number {
    const { firstMs, longestMs } = this.#pace;
    const pauseMs = Math.min(firstMs * 2 ** this.#failures, longestMs);
    this.#failures += 1;
    return pauseMs * (0.5 + this.#random.fraction());
  }

  /** A try succeeded: the next failure is a first one. */
  reset(): void {
    this.#failures = 0;
  }
}

export interface Tries extends Pace {
  readonly clock: Clock;
  readonly random: Random;
  /** No try begins later than this after the first one, in milliseconds. Default Infinity. */
  readonly withinMs?: number;
  /** Its abort ends the pauses: the last failure is then final. */
  readonly signal?: AbortSignal | undefined;
  /** Whether a pause keeps the process running. Default false. */
  readonly keepAlive?: boolean;
  /** Whether another try may help. Default: always. */
  readonly isPassing?: (error: unknown) => boolean;
}

/**
 * Asks until answered. Rejects with the last failure when that is final, when the time is over,
 * or when the signal has aborted. `attempt` gets what is left of the time, in milliseconds.
 */
export async function again<T>(attempt: (leftMs: number) => Promise<T>, tries: Tries): Promise<T> {
  const { clock, random, withinMs = Infinity, signal, keepAlive = false, isPassing } = tries;
  const startedAt = clock.now();
  const backoff = new Backoff(tries, random);
  const isAborted = (): boolean => signal?.aborted === true;
  for (;;) {
    try {
      return await attempt(Math.max(0, withinMs - elapsedMs(clock, startedAt)));
    } catch (error) {
      const pauseMs = backoff.nextMs();
      // A pause that ends after the deadline helps nobody.
      const isOver = elapsedMs(clock, startedAt) + pauseMs > withinMs;
      if (isOver || isAborted() || isPassing?.(error) === false) throw error;
      await sleep(clock, pauseMs, signal, { keepAlive });
      if (isAborted()) throw error;
    }
  }
}
