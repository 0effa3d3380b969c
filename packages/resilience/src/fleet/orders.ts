import { again, elapsedMs, isLeaseholdError, within } from "@leasehold/core";
import type { Instant, Lease, Member, Membership } from "@leasehold/core";

import type { FleetContext } from "./context.ts";
import { decodeOrder, encodeOrder, unreadable, type Order } from "./messages.ts";
import { Watch } from "./watch.ts";

/**
 * What operators tell the fleet. An order is a member of a membership, and stands for as long as
 * its giver holds it. So several operators may isolate at once, every node hears of it by a push,
 * and the order of a process that died ends with its ttl.
 */
export class FleetOrders extends Watch<readonly Member[]> {
  readonly #membership: Membership;
  readonly #onChange: () => void;
  readonly #onReset: () => void;
  readonly #given = new Set<Promise<void>>();
  #reasons: readonly string[] = [];
  #known: ReadonlySet<string> = new Set();
  #confirmedAt: Instant;
  /** Grows with each list: a look that was overtaken by a pushed list is no news. */
  #version = 0;

  /** `onChange`: the fleet is isolated, for another reason, or no longer. */
  constructor(context: FleetContext, onChange: () => void, onReset: () => void) {
    super(context);
    this.#membership = context.coordinator.membership(`${context.election.name}:orders`);
    this.#onChange = onChange;
    this.#onReset = onReset;
    this.#confirmedAt = context.settings.clock.now();
  }

  /** Why the whole fleet is isolated; null if it is not, or if that is too old to be believed. */
  get isolation(): string | null {
    const [reason] = this.#reasons;
    if (reason === undefined || this.context.closing.aborted) return null;
    return this.staleInMs > 0 ? reason : null;
  }

  /** How long an isolation is still believed without being confirmed, in milliseconds. */
  get staleInMs(): number {
    const { clock, maxStalenessMs } = this.context.settings;
    return maxStalenessMs - elapsedMs(clock, this.#confirmedAt);
  }

  /**
   * Gives an order, and gives it again when the store has lost it. Resolves when the order stands,
   * with what ends it. Rejects as `Membership.join` does.
   */
  async give(order: Order): Promise<AsyncDisposable> {
    const done = new AbortController();
    const ended = AbortSignal.any([done.signal, this.context.closing]);
    const given = this.#keep(await this.#join(order, ended), order, ended);
    this.#given.add(given);
    void given.finally(() => this.#given.delete(given));
    const withdraw = async (): Promise<void> => {
      done.abort();
      await given;
    };
    return { [Symbol.asyncDispose]: withdraw };
  }

  /** Resolves when every order that was given here has been withdrawn. */
  async close(): Promise<void> {
    await Promise.all(this.#given);
  }

  #join(order: Order, signal: AbortSignal): Promise<Lease> {
    const { ttlMs } = this.context.settings;
    return this.#membership.join({ value: encodeOrder(order), ttlMs, signal });
  }

  /** Never rejects. */
  async #keep(first: Lease, order: Order, ended: AbortSignal): Promise<void> {
    const { clock, random } = this.context.settings;
    let joined: Lease | null = first;
    const hold = async (): Promise<void> => {
      const lease = joined ?? (await this.#join(order, ended));
      joined = null;
      const over = AbortSignal.any([lease.signal, ended]);
      await within(new Promise<void>(() => undefined), { clock, signal: over }, () => undefined);
      await lease[Symbol.asyncDispose]();
      if (!ended.aborted) throw lease.signal.reason;
    };
    const isPassing = (error: unknown): boolean => !isLeaseholdError(error, "CLOSED");
    const tries = { clock, random, firstMs: 150, longestMs: 150, signal: ended, isPassing };
    await again(hold, tries).catch(() => undefined);
  }

  protected changes(): AsyncIterable<readonly Member[]> {
    return this.#membership.observe({ signal: this.context.closing });
  }

  protected heard(members: readonly Member[], at: Instant = this.context.settings.clock.now()): void {
    const { health } = this.context;
    const { isolation } = this;
    const orders = members.map(({ id, value }) => ({ id, order: decodeOrder(value) }));
    const isReset = orders.some(({ id, order }) => order?.kind === "reset" && !this.#known.has(id));
    this.#known = new Set(members.map(({ id }) => id));
    this.#reasons = orders.flatMap(({ order }) => (order?.kind === "isolate" ? [order.reason] : []));
    this.#confirmedAt = at;
    this.#version += 1;
    if (orders.some(({ order }) => order === null)) health.failed("orders", unreadable("an order"));
    else health.restored("orders");
    if (isReset) this.#onReset();
    if (this.isolation !== isolation) this.#onChange();
    this.arm();
  }

  protected async read(): Promise<() => void> {
    const startedAt = this.context.settings.clock.now();
    const version = this.#version;
    const members = await this.#membership.members();
    return () => {
      if (version === this.#version) this.heard(members, startedAt);
    };
  }

  protected failed(error: unknown): void {
    this.context.health.failed("orders", error);
  }

  protected isWanted(): boolean {
    return this.#reasons.length > 0 || this.context.isAlert();
  }
}
