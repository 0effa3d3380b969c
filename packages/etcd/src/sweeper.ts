import type { Timer } from "@leasehold/core";
import type { Calls } from "./calls.ts";
import { deleteClaim } from "./claim-deletion.ts";
import { decodeName, type ClaimKeys } from "./claim-keys.ts";
import type { Leftover, Roster } from "./roster.ts";
import type { LeaseKeys, SharedLeases } from "./shared-leases.ts";

const longestPeriodMs = 2_000;
const requestTimeoutMs = 1_000;

/**
 * Rule R7 on etcd. A delayed acquire, or a release that never arrived, leaves a key on a lease that other claims keep alive,
 * so it would stand in the line for as long as this process lives. No mark is left against it; what it leaves is found
 * instead: each list of a lease's keys, made at every renewal, shows the keys whose owner nobody here knows.
 *
 * The sweeper has a timer of its own only while something may still come: an owner has departed with a request unanswered,
 * or a delete was not acknowledged.
 */
export class Sweeper {
  readonly #calls: Calls;
  readonly #keys: ClaimKeys;
  readonly #roster: Roster;
  readonly #leases: SharedLeases;
  #timer: Timer | undefined;
  #sweeping: Promise<void> | undefined;
  #closed = false;

  constructor(calls: Calls, keys: ClaimKeys, roster: Roster, leases: SharedLeases) {
    this.#calls = calls;
    this.#keys = keys;
    this.#roster = roster;
    this.#leases = leases;
  }

  /** Something may have been left behind, or may still arrive: look every now and then until that is over. */
  arm(): void {
    if (this.#closed || this.#timer !== undefined || this.#sweeping !== undefined) return;
    const ttls = this.#leases.ours.map(({ ttlMs }) => ttlMs / 3);
    this.#timer = this.#calls.clock.schedule(Math.min(longestPeriodMs, ...ttls), () => {
      this.#timer = undefined;
      this.#sweeping = this.#sweep().finally(() => {
        this.#sweeping = undefined;
        const nowMs = this.#calls.now().monoMs;
        if (this.#roster.undeleted.length > 0 || this.#roster.someDeparted(nowMs)) this.arm();
      });
    });
  }

  /** Deletes, in the background, what the owner may have in the store; again and again until that is acknowledged. */
  discard(leftover: Leftover): void {
    this.#roster.owesDelete(leftover);
    void this.#delete(leftover);
  }

  /** The keys on one of our leases were listed: those of owners that this process does not know are litter. */
  listed(keys: LeaseKeys): void {
    for (const text of keys ?? []) {
      const key = this.#keys.parse(Buffer.from(text, "latin1"));
      if (key === undefined || this.#roster.owns(key.name, key.owner)) continue;
      this.discard({ resource: decodeName(key.name), owner: key.owner, capacity: key.capacity });
    }
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  async #sweep(): Promise<void> {
    const deletions = this.#roster.undeleted.map((leftover) => this.#delete(leftover));
    const lists = this.#leases.ours.map(async (lease) => {
      const keys = await this.#leases.list(lease, requestTimeoutMs).catch(() => null);
      this.listed(keys);
    });
    await Promise.all([...deletions, ...lists]);
  }

  async #delete(leftover: Leftover): Promise<void> {
    try {
      await deleteClaim(this.#calls, this.#keys, leftover, requestTimeoutMs);
      this.#roster.deleted(leftover);
    } catch {
      // It stays on the list.
      this.arm();
    }
  }
}
