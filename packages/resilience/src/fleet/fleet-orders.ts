import {
  elapsedMs,
  isLeaseholdError,
  sleep,
  type Clock,
  type Instant,
  type Lease,
  type Member,
  type Membership,
  type Random,
} from "@leasehold/core";

import { untilAborted } from "./or-aborted.ts";
import { decodeOrder, encodeOrder, type Order } from "./order.ts";
import { follow, Poll } from "./poll.ts";
import { unreadable } from "./text.ts";

export interface FleetOrdersOptions {
  /** Where orders are given. */
  readonly membership: Membership;
  readonly clock: Clock;
  readonly random: Random;
  readonly ttlMs: number | undefined;
  readonly pollMs: number;
  readonly maxStalenessMs: number;
  readonly signal: AbortSignal;
  /** Whether to look now and then, although nothing was heard. */
  readonly isWanted: () => boolean;
  /** Isolated, for another reason, or no longer. */
  readonly onChange: () => void;
  readonly onReset: () => void;
  /** Told after each look; `error`: the store did not answer, or holds what cannot be read. */
  readonly onLook: (error: Error | null) => void;
}

/**
 * What operators tell the fleet. An order is a member of a membership, and stands for as long as its giver holds it: so
 * several may isolate at once, everybody hears of it by a push, and the order of a process that died goes with its ttl.
 */
export class FleetOrders {
  readonly #options: FleetOrdersOptions;
  readonly #poll: Poll;
  readonly #kept = new Set<Promise<void>>();
  #reasons: readonly string[] = [];
  #known: ReadonlySet<string> = new Set();
  #confirmedAt: Instant;
  /** Grows with each list: a look that was overtaken by a pushed one is no news. */
  #version = 0;

  constructor(options: FleetOrdersOptions) {
    this.#options = options;
    const { clock, random, pollMs: periodMs, signal } = options;
    // What a look has learned it tells itself.
    const onRead = (error: Error | null): void => void (error !== null && options.onLook(error));
    this.#confirmedAt = clock.now();
    const isWanted = (): boolean => this.#reasons.length > 0 || options.isWanted();
    this.#poll = new Poll(() => this.#look(), { clock, random, periodMs, signal, isWanted, onRead });
  }

  /** Why the whole fleet is isolated; null when it is not, or when that was too long ago to be believed. */
  get isolation(): string | null {
    const [reason] = this.#reasons;
    if (reason === undefined || this.#options.signal.aborted) return null;
    return this.staleInMs > 0 ? reason : null;
  }

  /** How long an isolation may still be believed without being confirmed, in milliseconds. */
  get staleInMs(): number {
    return this.#options.maxStalenessMs - elapsedMs(this.#options.clock, this.#confirmedAt);
  }

  /** Resolves when the observation has ended. */
  async watch(): Promise<void> {
    const { membership, signal } = this.#options;
    const changes = (): AsyncIterable<readonly Member[]> => membership.observe({ signal });
    await follow(changes, (members) => this.#heard(members, this.#options.clock.now()), this.#options);
  }

  /** There may be a reason to look every now and then. */
  arm(): void {
    this.#poll.arm();
  }

  /**
   * Gives an order, and keeps it given: one that the store has lost is given again. Resolves when it stands, with what ends
   * it. Rejects as `Membership.join` does.
   */
  async give(order: Order): Promise<AsyncDisposable> {
    const { signal } = this.#options;
    const done = new AbortController();
    const ended = AbortSignal.any([done.signal, signal]);
    const kept = this.#keep(await this.#join(order, ended), order, ended);
    this.#kept.add(kept);
    void kept.finally(() => this.#kept.delete(kept));
    return {
      [Symbol.asyncDispose]: async () => {
        done.abort();
        await kept;
      },
    };
  }

  /** Resolves when every order given here has been withdrawn. */
  async close(): Promise<void> {
    await Promise.all(this.#kept);
  }

  async #join(order: Order, signal: AbortSignal): Promise<Lease> {
    const { membership, ttlMs } = this.#options;
    return membership.join({ value: encodeOrder(order), ttlMs, signal });
  }

  async #keep(lease: Lease, order: Order, ended: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    for (let held: Lease | null = lease; !ended.aborted;) {
      if (held !== null) {
        await untilAborted(AbortSignal.any([held.signal, ended]));
        await held[Symbol.asyncDispose]();
        if (isLeaseholdError(held.signal.reason, "CLOSED")) return;
      }
      await sleep(clock, 100 + 100 * random.fraction(), ended);
      held = ended.aborted ? null : await this.#join(order, ended).catch(() => null);
    }
  }

  async #look(): Promise<() => void> {
    const { membership, clock } = this.#options;
    const startedAt = clock.now();
    const version = this.#version;
    const members = await membership.members();
    return () => {
      if (version === this.#version) this.#heard(members, startedAt);
    };
  }

  #heard(members: readonly Member[], at: Instant): void {
    const { onChange, onReset, onLook } = this.#options;
    const { isolation } = this;
    const news = members.filter(({ id }) => !this.#known.has(id)).map(({ value }) => decodeOrder(value));
    const orders = members.map(({ value }) => decodeOrder(value));
    this.#known = new Set(members.map(({ id }) => id));
    this.#reasons = orders.flatMap((order) => (order?.kind === "isolate" ? [order.reason] : []));
    this.#confirmedAt = at;
    this.#version += 1;
    onLook(orders.includes(null) ? unreadable("an order") : null);
    if (news.some((order) => order?.kind === "reset")) onReset();
    if (this.isolation !== isolation) onChange();
    this.#poll.arm();
  }
}
