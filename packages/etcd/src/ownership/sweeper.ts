import type { Timer } from "@leasehold/core";
import type { Calls } from "../rpc/calls.ts";
import { deleteClaim, type Doomed } from "./claim-deletion.ts";
import type { ClaimKeys } from "../format/claim-keys.ts";
import { hasLapsed } from "../line/own-claim.ts";
import type { Roster } from "./roster.ts";
import type { LeaseKeys, SharedLeases } from "../leases/shared-leases.ts";

const longestPeriodMs = 2_000;
const requestTimeoutMs = 1_000;

/** Who else keeps keys on the leases of this process. */
export interface Tenant {
  /** One of our leases has this key (as latin1 text), and it is no claim. */
  listed(key: string): void;
  /**
   * Whether something of theirs may still arrive, or is still to be deleted: then the sweeper goes
   * on looking.
   */
  isExpecting(): boolean;
}

interface Debt {
  readonly doomed: Doomed;
  readonly settled: () => void;
}

/**
 * Rule R7 on etcd. A delayed acquire, or a release that never arrived, leaves a key on a lease that
 * other claims keep alive, so it would stand in the line for as long as this process lives. No mark
 * is left against it; what it leaves is found instead: each list of a lease's keys, made at every
 * renewal, shows the keys that belong to nobody here.
 *
 * The sweeper has a timer of its own only while something may still come: an owner has departed
 * with a request unanswered, or a delete was not acknowledged.
 */
export class Sweeper {
  readonly #calls: Calls;
  readonly #keys: ClaimKeys;
  readonly #roster: Roster;
  readonly #leases: SharedLeases;
  /** Deletes that were not acknowledged yet. */
  readonly #debts = new Set<Debt>();
  readonly #tenants = new Set<Tenant>();
  #timer: Timer | undefined;
  #sweeping = false;
  #closed = false;

  constructor(calls: Calls, keys: ClaimKeys, roster: Roster, leases: SharedLeases) {
    this.#calls = calls;
    this.#keys = keys;
    this.#roster = roster;
    this.#leases = leases;
  }

  /** The tenant hears of keys on our leases that are no claims. */
  admit(tenant: Tenant): void {
    this.#tenants.add(tenant);
  }

  /**
   * Something may have been left behind, or may still arrive: look every now and then until that is
   * over.
   */
  arm(): void {
    if (this.#closed || this.#timer !== undefined || this.#sweeping) return;
    const ttls = this.#leases.ours.map(({ ttlMs }) => ttlMs / 3);
    this.#timer = this.#calls.clock.schedule(Math.min(longestPeriodMs, ...ttls), () => {
      this.#timer = undefined;
      void this.#sweep();
    });
  }

  /**
   * Deletes it in the background, again and again until that is acknowledged; then calls `settled`.
   */
  discard(doomed: Doomed, settled: () => void = () => {}): void {
    void this.#settle({ doomed, settled });
  }

  /** A delete was tried and not acknowledged: as `discard`, but not at once. */
  owe(doomed: Doomed, settled: () => void): void {
    this.#debts.add({ doomed, settled });
    this.arm();
  }

  /**
   * The keys on one of our leases were listed: those that belong to nobody here are litter, and
   * those that nobody has asked for during a ttl are dead, which a lease that others keep alive
   * does not show.
   */
  listed(keys: LeaseKeys): void {
    for (const text of keys ?? []) {
      const key = Buffer.from(text, "latin1");
      if (this.#keys.parse(key) === undefined) {
        for (const tenant of this.#tenants) tenant.listed(text);
        continue;
      }
      const record = this.#roster.at(text);
      if (record === undefined) void this.#remove(key, text);
      else if (record.claim !== undefined && hasLapsed(record.claim, this.#calls.clock)) {
        this.discard(record.claim);
        this.#roster.claimGone(record.claim);
      }
    }
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  async #sweep(): Promise<void> {
    this.#sweeping = true;
    const debts = [...this.#debts].map((debt) => this.#settle(debt));
    const lists = this.#leases.ours.map(async (lease) => {
      this.listed(await this.#leases.list(lease, requestTimeoutMs).catch(() => null));
    });
    await Promise.all([...debts, ...lists]);
    this.#sweeping = false;
    const nowMs = this.#calls.now().monoMs;
    const expecting = [...this.#tenants].map((tenant) => tenant.isExpecting()).includes(true);
    if (this.#roster.someDeparted(nowMs) || this.#debts.size > 0 || expecting) this.arm();
  }

  async #settle(debt: Debt): Promise<void> {
    this.#debts.add(debt);
    try {
      await deleteClaim(this.#calls, this.#keys, debt.doomed, requestTimeoutMs);
      this.#debts.delete(debt);
      debt.settled();
    } catch {
      this.arm();
    }
  }

  /**
   * The list tells names only. If the name is in use again by now, the revision that is read is not
   * ours to delete.
   */
  async #remove(key: Buffer, text: string): Promise<void> {
    try {
      const { kvs } = await this.#calls.unary(
        ({ kv }, options) => kv.range({ key }, options),
        requestTimeoutMs,
      );
      const [litter] = kvs;
      if (litter === undefined || this.#roster.at(text) !== undefined) return;
      this.discard({ key, ticket: BigInt(litter.create_revision) });
    } catch {
      // The next list shows it again.
    }
  }
}
