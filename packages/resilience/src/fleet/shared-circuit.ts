import { elapsedMs, sleep, within } from "@leasehold/core";
import type { Coordinator, Instant, Leadership, Timer } from "@leasehold/core";

import type { CircuitBreaker } from "../circuit/circuit-breaker.ts";
import { Health, type FleetContext, type LocalEvent } from "./context.ts";
import { roleFor } from "./line.ts";
import type { SharedState } from "./messages.ts";
import { Observer } from "./observer.ts";
import { FleetOrders } from "./orders.ts";
import { ProbeSlot } from "./probe-slot.ts";
import type { SharedCircuitSettings } from "./shared-circuit-settings.ts";
import { Term } from "./term.ts";
import { View, type Lesson } from "./view.ts";
import { Voter } from "./voter.ts";

const longestCloseMs = 1_000;

export interface SharedCircuitListener {
  readonly emit: (event: LocalEvent) => void;
  /** What governs, or the state that it says, may have changed. */
  readonly changed: (reason: string) => void;
}

/**
 * One node's part in a circuit. The node observes; it votes when its own breaker has opened; and it
 * leads when it is first in line.
 */
export class SharedCircuit {
  readonly view: View;
  readonly slot: ProbeSlot = new ProbeSlot();
  readonly orders: FleetOrders;

  readonly #context: FleetContext;
  readonly #local: CircuitBreaker;
  readonly #listener: SharedCircuitListener;
  readonly #observer: Observer;
  readonly #voter: Voter;
  readonly #closer = new AbortController();
  readonly #following: Promise<unknown>;
  #closing: Promise<void> | null = null;
  /** Whether a call was refused here since the circuit opened: this node could probe. */
  #hasDemand = false;
  /** The state of the fleet's circuit that was told last. */
  #told: SharedState = "closed";
  #wake: Timer | null = null;
  /** When the local breaker last changed its state, and for how long that is worth a vote. */
  #opinion: { readonly since: Instant; readonly forMs: number };
  /** Why the fleet has the local breaker reset, while it does. */
  #resetReason: string | null = null;

  constructor(
    coordinator: Coordinator,
    settings: SharedCircuitSettings,
    local: CircuitBreaker,
    listener: SharedCircuitListener,
  ) {
    const { name, node, clock, maxStalenessMs } = settings;
    const { emit } = listener;
    const health = new Health(emit);
    this.#local = local;
    this.#listener = listener;
    this.view = new View(clock, maxStalenessMs);
    this.#opinion = { since: clock.now(), forMs: 0 };
    this.#context = {
      coordinator,
      settings,
      election: coordinator.election(`circuit:${name}`, { candidate: node }),
      health,
      closing: this.#closer.signal,
      emit,
      isAlert: () => this.#voter.role !== null || this.view.governs || !health.isWell,
    };
    this.#observer = new Observer(this.#context, this.view, (lesson) => this.#learned(lesson));
    this.orders = new FleetOrders(
      this.#context,
      () => this.#settle(this.orders.isolation ?? "isolation lifted"),
      () => this.#forget(),
    );
    this.#voter = new Voter(this.#context, {
      lead: (leadership, withdrawn) => this.#lead(leadership, withdrawn),
      onChange: () => this.#settle(this.view.word.reason),
      onEvicted: () => local.reset(),
      onClosed: () => void this.close(),
    });
    local.onStateChange(({ reason }) => {
      const isOpen = local.state === "open" || local.state === "half-open";
      const forMs = isOpen ? local.retryAfterMs + maxStalenessMs : 0;
      this.#opinion = { since: clock.now(), forMs };
      this.#settle(this.#resetReason ?? reason);
    });
    this.#following = Promise.all([this.#observer.follow(), this.orders.follow()]);
    // They also end when the coordinator closes. Then there is no fleet any more for this node.
    void this.#following.then(() => this.close());
  }

  get isClosed(): boolean {
    return this.#closer.signal.aborted;
  }

  /** A call was refused because of what the fleet knows. */
  refused(): void {
    this.#hasDemand = true;
  }

  /** Takes every claim out of the line, and has every node forget what it has seen. */
  async reset(): Promise<void> {
    const { coordinator, settings, closing } = this.#context;
    const { name } = this.#context.election;
    const options = { recipe: "election", force: true } as const;
    const { holders, line } = await coordinator.inspect(name, options);
    await Promise.all([...holders, ...line].map(({ owner }) => coordinator.evict(name, owner, options)));
    const order = await this.orders.give({ kind: "reset" });
    this.#forget();
    // A node that missed the push looks within this time.
    await sleep(settings.clock, 2 * settings.pollMs, closing);
    await order[Symbol.asyncDispose]();
  }

  /** Leaves the line and stops observing. What the store does not answer in time ends by itself. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    const { clock } = this.#context.settings;
    this.#closer.abort();
    this.#wake?.cancel();
    this.view.forget();
    this.#listener.changed("the breaker is closed");
    const ends = Promise.all([this.#voter.close(), this.orders.close(), this.#following]);
    await within<unknown, undefined>(
      ends,
      { clock, limitMs: longestCloseMs, keepAlive: true },
      () => undefined,
    );
  }

  #lead(leadership: Leadership, withdrawn: AbortSignal): Promise<void> {
    const office = {
      ...this.#context,
      view: this.view,
      observer: this.#observer,
      slot: this.slot,
      onWord: (lesson: Lesson) => this.#learned(lesson),
      onIdle: () => (this.#hasDemand = false),
    };
    return new Term(leadership, withdrawn, office).serve();
  }

  #learned(lesson: Lesson): void {
    const reason = lesson === "vacant" ? "nobody votes any more" : this.view.word.reason;
    // What calls found out before the circuit was closed is over here as well, and so is the vote.
    this.#resetReason = reason;
    if (lesson === "closed") this.#local.reset();
    this.#resetReason = null;
    this.#settle(reason);
  }

  #forget(): void {
    this.view.forget();
    this.#local.reset();
    this.#settle("reset");
  }

  /** Something may have changed: draws all conclusions from what is known now. */
  #settle(why: string): void {
    const { emit, changed } = this.#listener;
    if (this.isClosed) return changed(why);
    const { governs, word } = this.view;
    const reason = governs || word.state === "closed" ? why : "the store is out of reach";
    const [from, to] = [this.#told, governs ? word.state : "closed"];
    this.#told = to;
    if (to === "closed") this.#hasDemand = false;
    if (from !== to) emit({ type: "fleet-changed", from, to, attempt: word.attempt, reason });
    // Told first: what follows comes back here, with reasons of its own.
    changed(reason);
    this.#stand();
    this.#observer.arm();
    this.orders.arm();
    this.#armWake();
  }

  /**
   * How much longer what this node found out is worth a vote, in milliseconds; 0 when it is none. The
   * breaker of a node without calls stays open until a call tries it. What it saw an hour ago must not
   * open the circuit for a fleet in which one other node has failures now.
   */
  get #opinionLeftMs(): number {
    const { since, forMs } = this.#opinion;
    return forMs === 0 ? 0 : Math.max(0, forMs - elapsedMs(this.#context.settings.clock, since));
  }

  #stand(): void {
    const { governs } = this.view;
    const { line, place } = this.#observer;
    const { role } = this.#voter;
    const ails = this.#opinionLeftMs > 0;
    const wanted = roleFor({ governs, ails, hasDemand: this.#hasDemand, role, place, line });
    // A node that only offered to probe leaves first, and joins anew for its vote to be counted.
    const isAnother = !governs && role !== null && role !== wanted;
    this.#voter.want(isAnother ? null : wanted);
  }

  /** Looks again when what is believed now will have become too old, if nothing happens before. */
  #armWake(): void {
    const { view, orders } = this;
    const leftMs = this.#opinionLeftMs;
    const soonestMs = Math.min(
      view.governs ? view.staleInMs : Infinity,
      orders.isolation === null ? Infinity : orders.staleInMs,
      leftMs > 0 ? leftMs : Infinity,
    );
    this.#wake?.cancel();
    this.#wake = null;
    if (soonestMs === Infinity) return;
    const { clock } = this.#context.settings;
    // A moment later: by then it is too old by every clock's rounding.
    this.#wake = clock.schedule(soonestMs + 1, () => this.#settle("too old to be believed"));
  }
}
