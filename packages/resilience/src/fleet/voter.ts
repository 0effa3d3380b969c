import {
  isLeaseholdError,
  sleep,
  type Clock,
  type Election,
  type Leadership,
  type LeaseLostError,
  type Random,
} from "@leasehold/core";

import type { Role } from "./quorum.ts";

export interface VoterOptions {
  readonly election: Election;
  readonly clock: Clock;
  readonly random: Random;
  /** How long a claim outlives its node, in milliseconds. Default: the coordinator's ttl. */
  readonly ttlMs?: number;
  /** Leads until the leadership is lost or given up, or until `withdrawn` aborts, and ends with its release. */
  readonly lead: (leadership: Leadership, withdrawn: AbortSignal) => Promise<void>;
  /** Told when it begins to stand, with its role, and when it stands no longer. */
  readonly onChange: (role: Role | null) => void;
  /** The place in line, or the leadership, was taken away by an operator. */
  readonly onEvicted: () => void;
  /** The coordinator is closed: there is no line to stand in any more. */
  readonly onClosed: () => void;
  /** The store does not let it stand, and asking again at once would not help. */
  readonly onTrouble: (error: unknown) => void;
}

interface Candidacy {
  readonly role: Role;
  readonly aborter: AbortController;
  readonly ended: Promise<void>;
}

/** Stands in the circuit's line for as long as its node is told to: its place there is the node's vote. */
export class Voter {
  readonly #options: VoterOptions;
  #candidacy: Candidacy | null = null;

  constructor(options: VoterOptions) {
    this.#options = options;
  }

  /** What it stands as, or is about to; also while it withdraws. */
  get role(): Role | null {
    return this.#candidacy?.role ?? null;
  }

  /** Stands as this from now on, or (null) leaves the line. One who stands keeps the role it came with. */
  want(role: Role | null): void {
    if (role === null) return this.#candidacy?.aborter.abort();
    if (this.#candidacy !== null) return;
    const aborter = new AbortController();
    // Set before anything of the candidacy runs, so that nothing it causes can begin another.
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const ended = begun.then(() => this.#stand(role, aborter.signal)).finally(() => this.#left());
    this.#candidacy = { role, aborter, ended };
    this.#options.onChange(role);
    begin();
  }

  /** Leaves the line. Resolves when it has, or when the store could not be told: then the claim ends with its ttl. */
  async close(): Promise<void> {
    this.want(null);
    await this.#candidacy?.ended;
  }

  #left(): void {
    this.#candidacy = null;
    this.#options.onChange(null);
  }

  async #stand(role: Role, withdrawn: AbortSignal): Promise<void> {
    const { election, clock, random, ttlMs, lead, onEvicted, onClosed, onTrouble } = this.#options;
    for (let failures = 0; !withdrawn.aborted;) {
      try {
        const leadership = await election.campaign({ signal: withdrawn, ttlMs, metadata: { role } });
        const { signal } = leadership;
        await lead(leadership, withdrawn);
        // Lost, like a place that died: thrown, to be treated alike. Given up: whether to stand again is another question.
        if (!isLeaseholdError(signal.reason, "LEASE_LOST")) return;
        throw signal.reason;
      } catch (error) {
        if (withdrawn.aborted) return;
        if (isLeaseholdError(error, "CLOSED")) return onClosed();
        const isPassing = isLeaseholdError(error, "LEASE_LOST");
        if (isPassing && (error as LeaseLostError).reason === "evicted") return onEvicted();
        // A pause, a flush: stand again, as before, but not in a tight loop.
        if (!isPassing) onTrouble(error);
        failures = isPassing ? 0 : failures + 1;
      }
      const pauseMs = Math.min(100 * 2 ** failures, 5_000);
      await sleep(clock, pauseMs * (0.5 + random.fraction()), withdrawn);
    }
  }
}
