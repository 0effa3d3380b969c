import { Backoff, isLeaseholdError, sleep, type Leadership, type LeaseLostError } from "@leasehold/core";

import type { FleetContext } from "./context.ts";
import type { Role } from "./shared-circuit-breaker.ts";

export interface VoterListener {
  /** Leads until the leadership is lost or `withdrawn` aborts; ends with its release. */
  readonly lead: (leadership: Leadership, withdrawn: AbortSignal) => Promise<void>;
  /** The node begins to stand, or stands no longer. */
  readonly onChange: () => void;
  /** An operator took the place in line, or the leadership, away. */
  readonly onEvicted: () => void;
  /** The coordinator is closed: there is no line to stand in any more. */
  readonly onClosed: () => void;
}

interface Candidacy {
  readonly role: Role;
  readonly aborter: AbortController;
  readonly ended: Promise<void>;
}

/** Stands in the circuit's line while its node wants it to: the place there is its vote. */
export class Voter {
  readonly #context: FleetContext;
  readonly #listener: VoterListener;
  #candidacy: Candidacy | null = null;

  constructor(context: FleetContext, listener: VoterListener) {
    this.#context = context;
    this.#listener = listener;
  }

  /** The role in which it stands, or is about to; also while it withdraws. */
  get role(): Role | null {
    return this.#candidacy?.role ?? null;
  }

  /** Stands in this role from now on; null: leaves. A candidacy keeps the role it began with. */
  want(role: Role | null): void {
    if (role === null) return this.#candidacy?.aborter.abort();
    if (this.#candidacy !== null) return;
    const aborter = new AbortController();
    // Set before anything of the candidacy runs, so that nothing it causes can begin another.
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const ended = begun.then(() => this.#stand(role, aborter.signal)).finally(() => this.#left());
    this.#candidacy = { role, aborter, ended };
    this.#context.emit({ type: "voted", role });
    this.#listener.onChange();
    begin();
  }

  /** Leaves the line. Resolves when it has, or when the claim is left to its ttl. */
  async close(): Promise<void> {
    this.want(null);
    await this.#candidacy?.ended;
  }

  #left(): void {
    this.#candidacy = null;
    this.#context.emit({ type: "withdrawn" });
    this.#listener.onChange();
  }

  async #stand(role: Role, withdrawn: AbortSignal): Promise<void> {
    const { election, settings, health } = this.#context;
    const { clock, random, ttlMs } = settings;
    const { lead, onEvicted, onClosed } = this.#listener;
    const backoff = new Backoff({ firstMs: 100, longestMs: 5_000 }, random);
    while (!withdrawn.aborted) {
      try {
        const leadership = await election.campaign({ signal: withdrawn, ttlMs, metadata: { role } });
        const { signal } = leadership;
        await lead(leadership, withdrawn);
        // A lost leadership is thrown: it is treated like a place in line that died. After a
        // resignation the circuit decides whether to stand again.
        if (!isLeaseholdError(signal.reason, "LEASE_LOST")) return;
        throw signal.reason;
      } catch (error) {
        if (withdrawn.aborted) return;
        if (isLeaseholdError(error, "CLOSED")) return onClosed();
        if (!isLeaseholdError(error, "LEASE_LOST")) health.failed("line", error);
        else if ((error as LeaseLostError).reason === "evicted") return onEvicted();
        // After a pause of the process or a flush of the store: stands again, as before.
        else backoff.reset();
      }
      // Never in a tight loop.
      await sleep(clock, backoff.nextMs(), withdrawn);
    }
  }
}
