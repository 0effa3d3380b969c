import type { Clock, Timer } from "@leasehold/core";

/** How often a connection is looked at while it owes an answer. */
const LOOK_MS = 250;

/**
 * So many looks in a row at which nothing had arrived: the connection is taken for dead. That is
 * two seconds. Slow links, slow scripts, forks and processors that are shared too widely keep a
 * live server silent for up to one. A flow that a firewall has dropped is found in time for a lease
 * of 6 s or more: its renewal, sent at a third of the ttl, leaves a third of it for the next
 * connection. A connection that is given up wrongly costs the answers that were on their way, and
 * never safety (rule R7).
 */
const SILENT_LOOKS = 8;

export interface PulseOptions {
  readonly clock: Clock;
  /** A value that is another one as soon as anything was received. */
  readonly received: () => unknown;
  /** Whether an answer is still owed, be it to a caller who no longer waits. */
  readonly isOwing: () => boolean;
  /** Nothing at all has arrived for about two seconds, although an answer is owed. */
  readonly onSilent: () => void;
}

/**
 * Whether a connection gives signs of life. A call that is late says nothing of that: the caller
 * may be impatient, the link slow, or the script. To reset the connection for it would take the
 * answers from everybody else who waits on it. So a call is given up alone, and a connection only
 * when nothing whatever arrives.
 *
 * Silence is counted in looks, not in time. A blocked event loop delays the timers and the reading
 * of sockets alike: all that time is one look, and the sockets are read before it judges.
 */
export class Pulse {
  readonly #options: PulseOptions;
  #timer: Timer | undefined;
  #seen: unknown;
  #silentLooks = 0;

  constructor(options: PulseOptions) {
    this.#options = options;
  }

  /** A request is about to be written. */
  asked(): void {
    if (this.#timer !== undefined) return;
    this.#seen = this.#options.received();
    this.#silentLooks = 0;
    this.#arm();
  }

  /** Nothing was heard at the last look, or for longer, although an answer is owed. */
  get isSilent(): boolean {
    return this.#silentLooks > 0 && this.#seen === this.#options.received();
  }

  /** Another connection takes the place of this one, or none. */
  reset(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#silentLooks = 0;
  }

  #arm(): void {
    const timer = this.#options.clock.schedule(LOOK_MS, () => {
      // After a blocked loop timers run before sockets are read. An immediate runs after both.
      setImmediate(() => {
        if (this.#timer === timer) this.#look();
      });
    });
    this.#timer = timer;
  }

  #look(): void {
    const { received, isOwing, onSilent } = this.#options;
    // Idle connections are not looked at: the next request begins anew.
    if (!isOwing()) return this.reset();
    const now = received();
    this.#silentLooks = now === this.#seen ? this.#silentLooks + 1 : 0;
    this.#seen = now;
    this.#arm();
    if (this.#silentLooks % SILENT_LOOKS === 0 && this.#silentLooks > 0) onSilent();
  }
}
