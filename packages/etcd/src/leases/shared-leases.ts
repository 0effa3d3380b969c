import { within, type Instant, type Random } from "@leasehold/core";
import type { Calls } from "../rpc/calls.ts";
import { Deadline, inTime } from "../rpc/deadline.ts";
import { grantLease, keepLease, listLeaseKeys, revokeLease } from "./lease-requests.ts";
import { RpcFailure } from "../rpc/failure.ts";
import { SharedLease } from "./shared-lease.ts";

/** What a refresh found: the keys on the lease, or null when the store has no such lease. */
export type LeaseKeys = ReadonlySet<string> | null;

interface Refresh {
  readonly startedAt: Instant;
  readonly keys: Promise<LeaseKeys>;
  /** The one that follows it, for those for whom this one began too early. */
  next?: Promise<LeaseKeys>;
}

/**
 * The leases of a process: one per ttl, shared by all claims of that ttl, so that renewing any
 * number of claims is one keepalive, one read and one list of keys.
 *
 * A lease that nobody uses is simply no longer refreshed, and the server ends it: nothing here
 * lives for ever. It is never given up for another while claims may hang on it: only the server's
 * word ends it.
 */
export class SharedLeases {
  readonly #calls: Calls;
  readonly #random: Random;
  readonly #onGone: () => void;
  /** By ttl: the lease for new claims. */
  readonly #current = new Map<number, SharedLease>();
  /**
   * Every lease granted to us that may still exist: those for new claims, and lapsed ones with old
   * claims on them.
   */
  readonly #ours = new Set<SharedLease>();
  readonly #others = new Map<string, SharedLease>();
  readonly #granting = new Map<number, Promise<SharedLease>>();
  readonly #keeping = new Map<SharedLease, Promise<boolean>>();
  readonly #refreshing = new Map<SharedLease, Refresh>();
  #closed = false;

  /** `onGone`: a lease that claims may hang on was found to be gone. */
  constructor(calls: Calls, random: Random, onGone: () => void) {
    this.#calls = calls;
    this.#random = random;
    this.#onGone = onGone;
    // What was asked on a connection that is given up is not waited for: the next to ask, asks
    // anew.
    calls.endpoints.onReplaced(() => {
      this.#keeping.clear();
      this.#refreshing.clear();
    });
  }

  /**
   * A lease with at least half of its life left. The first call of a ttl is granted one, and so is
   * the first after the lease was lost or has lapsed; those that come meanwhile share that grant.
   * Below two thirds it is refreshed in passing, so that under steady traffic nobody ever waits for
   * that.
   */
  async forAcquire(ttlMs: number, timeoutMs: number): Promise<SharedLease> {
    const deadline = new Deadline(this.#calls.clock, timeoutMs);
    const lease = this.#current.get(ttlMs);
    // A lapsed one is left to end: asking whether it still lives costs as much as another. Claims
    // on it keep asking for it.
    if (lease !== undefined && !lease.gone && lease.remainingMs > 0) {
      if (lease.remainingMs >= ttlMs / 2) {
        if (lease.remainingMs < (ttlMs * 2) / 3) this.keep(lease, ttlMs / 4).catch(() => {});
        return lease;
      }
      if (await this.keep(lease, deadline.leftMs)) return lease;
    }
    return this.#grant(ttlMs, deadline.leftMs);
  }

  /**
   * The lease of that id: ours, or another process's, on which a claim was found that we are asked
   * to renew.
   */
  withId(id: string): SharedLease {
    const own = this.ours.find((lease) => lease.id === id);
    if (own !== undefined) return own;
    let other = this.#others.get(id);
    if (other === undefined || other.gone) {
      // Nothing was acknowledged to us yet, so nothing is valid.
      other = new SharedLease(id, this.#calls.clock);
      this.#others.set(id, other);
    }
    return other;
  }

  /** The leases that this process was granted and that may still exist. */
  get ours(): readonly SharedLease[] {
    return [...this.#ours];
  }

  /** A request that named the lease was told that there is none. */
  lost(lease: SharedLease): void {
    lease.ended();
    this.#forget(lease);
  }

  /** Refreshes the lease; one request for all who ask at once. False: it is gone. */
  keep(lease: SharedLease, timeoutMs: number): Promise<boolean> {
    const shared = this.#keeping.get(lease);
    if (shared !== undefined) return inTime(this.#calls.clock, shared, timeoutMs);
    const keeping = keepLease(this.#calls, lease, timeoutMs).then((alive) => {
      if (!alive) this.#forget(lease);
      return alive;
    });
    this.#keeping.set(lease, keeping);
    const ended = (): void => {
      if (this.#keeping.get(lease) === keeping) this.#keeping.delete(lease);
    };
    keeping.then(ended, ended);
    return keeping;
  }

  /**
   * Refreshes the lease and lists its keys, at once: over a slow link two steps would not fit in
   * the time of one renewal.
   *
   * The list is needed because an etcd before 3.4.38, 3.5.23 and 3.6.5 may acknowledge a keepalive
   * of a lease that was just revoked: a key that is listed proves that the lease lived after both
   * were sent. If it ended between the list and the keepalive, then either by revocation, which is
   * the same as a revocation right after a sound renewal, and found by the next; or by expiry, and
   * then our own deadline, which is always earlier, has passed before the answers came.
   *
   * `since`: what is asked about was in the store by then. Whoever asks while a refresh runs shares
   * it if it began later than that, and the next one if not: its list may have been made before.
   * To wait for the next one in any case would be to wait for two: on a store that takes longer for
   * a refresh than half of what a renewal may take, no renewal would ever be answered, though every
   * refresh is.
   */
  refresh(lease: SharedLease, since: Instant, timeoutMs: number): Promise<LeaseKeys> {
    const refreshes = this.#refreshing.get(lease);
    const start = (): Promise<LeaseKeys> => this.#start(lease, timeoutMs);
    if (refreshes === undefined) return this.#wait(start(), timeoutMs);
    const { startedAt, keys } = refreshes;
    if (startedAt.monoMs > since.monoMs) return this.#wait(keys, timeoutMs);
    refreshes.next ??= keys.then(start, start);
    return this.#wait(refreshes.next, timeoutMs);
  }

  /** The keys on the lease, without refreshing it; null when it is gone. */
  async list(lease: SharedLease, timeoutMs: number): Promise<LeaseKeys> {
    const keys = await listLeaseKeys(this.#calls, lease, timeoutMs);
    if (keys === null) this.#forget(lease);
    return keys === null ? null : new Set(keys.map((key) => key.toString("latin1")));
  }

  /**
   * Ends every lease of this process but those `inUse` by then. Bounded; a lease that it cannot
   * reach ends by itself.
   */
  async revokeAll(inUse: () => ReadonlySet<SharedLease>, timeoutMs: number): Promise<void> {
    // An acquire that finds its lease revoked must not be granted another.
    this.#closed = true;
    const deadline = new Deadline(this.#calls.clock, timeoutMs);
    const granting = Promise.allSettled(this.#granting.values());
    await inTime(this.#calls.clock, granting, timeoutMs / 2).catch(() => {});
    const used = inUse();
    const over = this.ours.filter((lease) => !used.has(lease));
    // Known before it is done: an acquire that is answered from now on must not take a claim on one
    // of them for its own.
    for (const lease of over) lease.ended();
    const revoked = over.map((lease) => revokeLease(this.#calls, lease.id, deadline.leftMs));
    await Promise.allSettled(revoked);
  }

  #wait(keys: Promise<LeaseKeys>, timeoutMs: number): Promise<LeaseKeys> {
    return within(keys, { clock: this.#calls.clock, limitMs: timeoutMs }, () => {
      this.#calls.suspect();
      throw new RpcFailure("unanswered", `no answer within ${Math.round(timeoutMs)} ms`);
    });
  }

  #start(lease: SharedLease, timeoutMs: number): Promise<LeaseKeys> {
    const refresh: Refresh = { startedAt: this.#calls.now(), keys: this.#refresh(lease, timeoutMs) };
    this.#refreshing.set(lease, refresh);
    const ended = (): void => {
      if (this.#refreshing.get(lease) === refresh) this.#refreshing.delete(lease);
    };
    refresh.keys.then(ended, ended);
    return refresh.keys;
  }

  /**
   * Those who wait may give up and ask again; the answer that comes late is theirs all the same. To
   * throw it away and send another request would be to lose the lease of a process, or on a server,
   * that is merely slow. It takes two round trips, and may take two thirds of the ttl.
   */
  async #refresh(lease: SharedLease, timeoutMs: number): Promise<LeaseKeys> {
    const patienceMs = Math.max(timeoutMs, (lease.ttlMs * 2) / 3);
    const [alive, keys] = await Promise.all([this.keep(lease, patienceMs), this.list(lease, patienceMs)]);
    return alive ? keys : null;
  }

  #grant(ttlMs: number, timeoutMs: number): Promise<SharedLease> {
    if (this.#closed) return Promise.reject(new RpcFailure("closed", "closed"));
    const shared = this.#granting.get(ttlMs);
    if (shared !== undefined) return inTime(this.#calls.clock, shared, timeoutMs);
    const granting = grantLease(this.#calls, this.#random, ttlMs, timeoutMs).then((lease) => {
      this.#dropEnded();
      this.#current.set(ttlMs, lease);
      this.#ours.add(lease);
      return lease;
    });
    this.#granting.set(ttlMs, granting);
    const ended = (): boolean => this.#granting.delete(ttlMs);
    granting.then(ended, ended);
    return granting;
  }

  /**
   * Leases that lapsed, were replaced, and have not been asked for in another two ttls: the server
   * has ended them.
   */
  #dropEnded(): void {
    for (const lease of this.#ours) if (lease.lapsedMs > 2 * lease.ttlMs) this.#forget(lease);
  }

  #forget(lease: SharedLease): void {
    for (const [ttlMs, current] of this.#current) if (current === lease) this.#current.delete(ttlMs);
    this.#ours.delete(lease);
    this.#others.delete(lease.id);
    if (lease.gone) this.#onGone();
  }
}
