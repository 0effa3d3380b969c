import type { Timer } from "@leasehold/core";
import type { Calls } from "../rpc/calls.ts";
import type { ClaimKeys } from "../format/claim-keys.ts";
import type { WatchHub } from "../rpc/watch-hub.ts";
import { LineWaiters, type Changes } from "./line-waiters.ts";
import type { OwnClaim } from "./own-claim.ts";
import { readLine } from "./read-line.ts";

export interface LineWatchHandler {
  /** These waiters stand in front by now. */
  granted(claims: readonly OwnClaim[]): void;
  /** These waiters are in the store no more. */
  gone(claims: readonly OwnClaim[]): void;
  /** Deletions may have been missed, and are told again. */
  resumed(): void;
  /** Nobody has waited for a while. */
  idle(): void;
}

/**
 * How long a watch outlives its last waiter. A busy lock would otherwise pay for a new one at each
 * turn.
 */
const lingerMs = 500;
const readTimeoutMs = 2_000;

/**
 * Watches one line for all waiters of this process: one watch, however many wait. It starts at
 * "now", then the line is read once, for what happened before; from then on nothing is asked. A
 * watch is a hint: it may fall silent (F30), and then renewal finds the grant.
 */
export class LineWatch {
  readonly #calls: Calls;
  readonly #hub: WatchHub;
  readonly #keys: ClaimKeys;
  readonly #resource: string;
  readonly #capacity: number;
  readonly #handler: LineWatchHandler;
  readonly #waiters: LineWaiters;
  #stopWatching: (() => void) | undefined;
  #linger: Timer | undefined;
  #reading = false;
  #readAgain = false;
  #closed = false;

  constructor(
    calls: Calls,
    keys: ClaimKeys,
    hub: WatchHub,
    line: { readonly resource: string; readonly capacity: number },
    handler: LineWatchHandler,
  ) {
    this.#calls = calls;
    this.#keys = keys;
    this.#hub = hub;
    this.#resource = line.resource;
    this.#capacity = line.capacity;
    this.#handler = handler;
    this.#waiters = new LineWaiters(keys);
  }

  get capacity(): number {
    return this.#capacity;
  }

  /**
   * A claim of ours waits, with `ahead` before it at `revision`. True if deletions that were told
   * before its own reply have granted it already: then it is not added, and not pushed. A push
   * before the reply would count its ttl from the send of the acquire (rule R4), but the lease
   * under it may be older than that.
   */
  add(claim: OwnClaim, ahead: number, revision: bigint): boolean {
    this.#linger?.cancel();
    const changes = this.#waiters.add(claim, ahead, revision);
    const mine = changes.granted.includes(claim);
    this.#apply({ ...changes, granted: changes.granted.filter((other) => other !== claim) });
    this.#stopWatching ??= this.#watch();
    this.#lingerIfIdle();
    return mine;
  }

  delete(claim: OwnClaim): void {
    this.#waiters.delete(claim);
    this.#lingerIfIdle();
  }

  close(): void {
    this.#closed = true;
    this.#linger?.cancel();
    this.#stopWatching?.();
  }

  #watch(): () => void {
    const line = this.#keys.line(this.#resource, this.#capacity);
    return this.#hub.watch(line, "deletions", {
      created: (revision, again) => {
        // What was counted may be keys that are no claims, of which no deletion would ever tell.
        this.#apply({ ...this.#waiters.watchedFrom(revision), unclear: true });
        if (again) this.#handler.resumed();
      },
      heard: (events) => this.#apply(this.#waiters.deleted(events)),
      broken: () => this.#waiters.unwatched(),
    });
  }

  #apply({ granted, gone, unclear }: Changes): void {
    if (this.#closed) return;
    if (gone.length > 0) this.#handler.gone(gone);
    if (granted.length > 0) this.#handler.granted(granted);
    if (unclear && this.#waiters.size > 0) void this.#read();
    this.#lingerIfIdle();
  }

  /**
   * One read at a time, and one more if it was called for meanwhile. If none succeeds, renewal
   * finds the grants.
   */
  async #read(): Promise<void> {
    this.#readAgain = true;
    if (this.#reading) return;
    this.#reading = true;
    while (this.#readAgain && !this.#closed && this.#waiters.size > 0) {
      this.#readAgain = false;
      const line = await readLine(this.#calls, this.#keys, this.#resource, readTimeoutMs).catch(
        () => undefined,
      );
      if (line !== undefined) this.#apply(this.#waiters.read(line));
    }
    this.#reading = false;
  }

  #lingerIfIdle(): void {
    if (this.#waiters.size > 0 || this.#closed) return;
    this.#linger?.cancel();
    this.#linger = this.#calls.clock.schedule(lingerMs, () => this.#handler.idle());
  }
}
