import type { Timer } from "@leasehold/core";
import type { LeaseKeys, SharedLeases } from "../leases/shared-leases.ts";
import type { SharedLease } from "../leases/shared-lease.ts";
import type { Calls } from "../rpc/calls.ts";

const longestPeriodMs = 2_000;
const shortestPauseMs = 200;
/** How long a request of a sweep may take. */
export const sweepTimeoutMs = 1_000;

/** A kind of what this process keeps under keys on its leases, and who in here owns it. */
export interface Kind {
  /** Whether the key (as latin1 text) is one of this kind. */
  includes(key: string): boolean;
  /** Whether somebody in here may have the key, and still asks for what it stands for. */
  isWanted(key: string): boolean;
  /**
   * Takes from the store what is under the key, unless it is wanted by then. What is deleted is
   * named by its revision: a deletion that arrives late does nothing to a key that is in use again.
   */
  remove(key: string): Promise<void>;
  /** Whether something unwanted may still arrive. */
  isExpecting(): boolean;
  /** The keys that nobody asks for any more, where a list would show them too late. */
  overdue(): readonly string[];
  /** When there may be another, on the monotonic clock. */
  nextOverdueMs(): number;
}

/**
 * Takes out of the store what nobody wants: rule R7 on etcd. A delayed request, or an end that
 * never arrived, leaves a key on a lease that others keep alive, so it would stand for as long as
 * this process lives. No mark is left against it; what it leaves is found instead. Each list of a
 * lease's keys, made at every renewal, shows the keys that belong to nobody here, and those that
 * nobody has asked for.
 *
 * The sweeper has a timer of its own only while something may still come, while a deletion was not
 * acknowledged, and for what would be noticed too late by a list.
 */
export class Sweeper {
  readonly #calls: Calls;
  readonly #leases: SharedLeases;
  readonly #kinds: Kind[] = [];
  /** Deletions that were not acknowledged yet. */
  readonly #debts = new Set<() => Promise<unknown>>();
  /** Keys (as latin1 text) that are being removed. */
  readonly #removing = new Set<string>();
  /** When the keys of a lease were last listed for `used`, on the monotonic clock. */
  readonly #listedAtMs = new WeakMap<SharedLease, number>();
  #timer: Timer | undefined;
  #wakesAtMs = Infinity;
  #expecting = false;
  #sweeping = false;
  #closed = false;

  constructor(calls: Calls, leases: SharedLeases) {
    this.#calls = calls;
    this.#leases = leases;
  }

  admit(kind: Kind): void {
    this.#kinds.push(kind);
  }

  /**
   * Something may have been left behind, or may still arrive: look now and then until that is over.
   */
  expect(): void {
    if (this.#expecting) return;
    this.#expecting = true;
    this.#wakeAt(this.#nowMs() + this.#periodMs());
  }

  /** Deletes something in the background, again and again until that is acknowledged. */
  discard(deletion: () => Promise<unknown>): void {
    void this.#settle(deletion);
  }

  /** A deletion was tried and not acknowledged: as `discard`, but not at once. */
  owe(deletion: () => Promise<unknown>): void {
    this.#debts.add(deletion);
    this.expect();
  }

  /** Something is overdue from then on, unless it is asked for again. */
  lookAt(atMs: number): void {
    this.#wakeAt(atMs);
  }

  /** The keys of one of our leases were listed. */
  listed(keys: LeaseKeys): void {
    for (const key of keys ?? []) {
      const kind = this.#kinds.find((each) => each.includes(key));
      if (kind !== undefined && !kind.isWanted(key)) void this.#remove(kind, key);
    }
  }

  /** A key was come across that may be unwanted. */
  found(kind: Kind, key: string): void {
    void this.#remove(kind, key);
  }

  /**
   * Something is put on this lease, which keeps it alive. So that no litter lives on with it, its
   * keys are listed once in its ttl; renewals of claims list them too, but there may be none.
   */
  used(lease: SharedLease): void {
    const nowMs = this.#nowMs();
    const listedAtMs = this.#listedAtMs.get(lease);
    if (listedAtMs !== undefined && nowMs - listedAtMs < lease.ttlMs) return;
    this.#listedAtMs.set(lease, nowMs);
    if (listedAtMs !== undefined) void this.#list(lease);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #wakeAt(atMs: number): void {
    if (this.#closed || this.#sweeping || atMs >= this.#wakesAtMs) return;
    this.#wakesAtMs = atMs;
    this.#timer?.cancel();
    const delayMs = Math.max(shortestPauseMs, atMs - this.#nowMs());
    this.#timer = this.#calls.clock.schedule(delayMs, () => void this.#sweep());
  }

  async #sweep(): Promise<void> {
    this.#sweeping = true;
    const overdue = this.#kinds.flatMap((kind) => kind.overdue().map((key) => this.#remove(kind, key)));
    const debts = [...this.#debts].map((debt) => this.#settle(debt));
    const lists = this.#expecting ? this.#leases.ours.map((lease) => this.#list(lease)) : [];
    await Promise.all([...overdue, ...debts, ...lists]);
    this.#sweeping = false;
    this.#wakesAtMs = Infinity;
    this.#expecting = this.#debts.size > 0 || this.#kinds.some((kind) => kind.isExpecting());
    const nextMs = Math.min(...this.#kinds.map((kind) => kind.nextOverdueMs()));
    // What could not be removed, because the store is out of reach, is overdue still.
    this.#wakeAt(Math.max(nextMs, overdue.length > 0 ? this.#nowMs() + sweepTimeoutMs : 0));
    if (this.#expecting) this.#wakeAt(this.#nowMs() + this.#periodMs());
  }

  async #list(lease: SharedLease): Promise<void> {
    this.listed(await this.#leases.list(lease, sweepTimeoutMs).catch(() => null));
  }

  /** If it fails, whoever found the key will find it again. */
  async #remove(kind: Kind, key: string): Promise<void> {
    if (this.#removing.has(key)) return;
    this.#removing.add(key);
    await kind.remove(key).catch(() => {});
    this.#removing.delete(key);
  }

  async #settle(debt: () => Promise<unknown>): Promise<void> {
    this.#debts.add(debt);
    try {
      await debt();
      this.#debts.delete(debt);
    } catch {
      this.expect();
    }
  }

  #periodMs(): number {
    return Math.min(longestPeriodMs, ...this.#leases.ours.map(({ ttlMs }) => ttlMs / 3));
  }

  #nowMs(): number {
    return this.#calls.now().monoMs;
  }
}
