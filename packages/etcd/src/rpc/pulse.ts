import { elapsedMs, type Clock, type Instant } from "@leasehold/core";

/** A connection that is silent for this long, with a question open, may be dead. */
const longestSilenceMs = 300;

/**
 * Whether a connection gives signs of life. A call that is not answered in time proves nothing
 * about its connection: the store may be slow with that call alone, or with all while there are
 * many. What speaks against a connection is that nothing at all arrives on it. To replace one that
 * answers would take the answers from everybody who still waits on it; so one late call failed
 * fifty others, they were all sent again, and that made the next one late.
 */
export class Pulse {
  readonly #clock: Clock;
  /** When the first of the requests left that were sent since something was last heard. */
  #askedAt: Instant | undefined;
  #heardAt: Instant | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A request was given to the connection. */
  asked(): void {
    this.#askedAt ??= this.#clock.now();
  }

  /** The server has said something. */
  heard(): void {
    this.#heardAt = this.#clock.now();
    this.#askedAt = undefined;
  }

  /** When something last arrived, if ever. */
  get heardAt(): Instant | undefined {
    return this.#heardAt;
  }

  /** Ask this while a request is unanswered. */
  get hasStopped(): boolean {
    const since = this.#askedAt ?? this.#heardAt;
    return since !== undefined && elapsedMs(this.#clock, since) >= longestSilenceMs;
  }
}
