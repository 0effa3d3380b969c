import { elapsedMs, within, type Clock, type Instant, type Timer } from "@leasehold/core";

/** How long nothing may be heard before a question is asked, in milliseconds. */
const SILENCE_MS = 5_000;
/** How long the answer may take. A longer pause of the server looks like a dead connection. */
const ANSWER_MS = 3_000;

export interface HearingOptions {
  readonly clock: Clock;
  /** Asks the server for an answer. Any will do, a refusal as well: it came over the connection. */
  readonly ask: () => Promise<unknown>;
  /** Whether anybody listens. Nothing is asked for nobody. */
  readonly isNeeded: () => boolean;
  /** Nothing answers. Called at most once. */
  readonly deaf: () => void;
}

/**
 * Whether a connection that only listens still can. A firewall that forgot the flow, or a peer that
 * died without a word, closes nothing: silence is all there is, and silence is also what a quiet
 * channel sounds like. So after some of it a question is asked. Whatever is heard counts as an
 * answer. A deaf connection is found after 8 s at the latest, or 3 s after a doubt.
 */
export class Hearing {
  readonly #options: HearingOptions;
  #timer: Timer | undefined;
  #isAsking = false;
  #stopped = false;
  /** How often something was heard, and when last. */
  #heard = 0;
  #heardAt: Instant;

  constructor(options: HearingOptions) {
    this.#options = options;
    this.#heardAt = options.clock.now();
    this.#arm(SILENCE_MS);
  }

  /** Something came over the connection. */
  heard(): void {
    this.#heard += 1;
    this.#heardAt = this.#options.clock.now();
  }

  /** There is a reason to ask now, rather than after a silence. */
  doubt(): void {
    if (!this.#isAsking && !this.#stopped) void this.#ask();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #arm(delayMs: number): void {
    if (this.#stopped) return;
    const { clock, isNeeded } = this.#options;
    this.#timer = clock.schedule(delayMs, () => {
      const restMs = SILENCE_MS - elapsedMs(clock, this.#heardAt);
      // Timers may fire a fraction of a millisecond before their time.
      if (restMs >= 1) this.#arm(restMs);
      else if (this.#isAsking || !isNeeded()) this.#arm(SILENCE_MS);
      else void this.#ask().then(() => this.#arm(SILENCE_MS));
    });
  }

  async #ask(): Promise<void> {
    const { clock, ask, deaf } = this.#options;
    this.#isAsking = true;
    const before = this.#heard;
    // What fails because the connection has ended is told by that.
    const answered = ask().then(
      () => this.heard(),
      () => this.heard(),
    );
    await within(answered, { clock, limitMs: ANSWER_MS }, () => {});
    // After a blocked event loop timers run before sockets are read: the answer may be there
    // already. An immediate runs after both.
    if (this.#heard === before) await new Promise(setImmediate);
    this.#isAsking = false;
    if (this.#heard !== before || this.#stopped) return;
    this.stop();
    deaf();
  }
}
