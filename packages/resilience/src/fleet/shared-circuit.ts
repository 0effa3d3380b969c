import { sleep, type Coordinator, type Leadership, type Timer } from "@leasehold/core";

import type { CircuitBreaker } from "../circuit/circuit-breaker.ts";
import type { FleetEvent } from "./fleet-event.ts";
import { FleetOrders } from "./fleet-orders.ts";
import { Health } from "./health.ts";
import { Observer } from "./observer.ts";
import { Opinion } from "./opinion.ts";
import { ProbeSlot } from "./probe-slot.ts";
import type { SharedState } from "./proclamation.ts";
import type { SharedCircuitSettings } from "./shared-circuit-options.ts";
import { SharedView, type Lesson } from "./shared-view.ts";
import { roleFor } from "./standing.ts";
import { Term, type Office } from "./term.ts";
import { Voter } from "./voter.ts";

/** An event as its place of origin knows it; the circuit and the node are added. */
type LocalEvent<E = FleetEvent> = E extends FleetEvent ? Omit<E, "circuit" | "node"> : never;

export interface SharedCircuitListener {
  readonly emit: (event: LocalEvent) => void;
  /** What governs, or what it says, may have changed. */
  readonly changed: (reason: string) => void;
}

/** One node's part in a circuit: it observes, votes when its own breaker has opened, and leads when it is first in line. */
export class SharedCircuit {
  readonly view: SharedView;
  readonly slot: ProbeSlot = new ProbeSlot();
  readonly orders: FleetOrders;

  readonly #coordinator: Coordinator;
  readonly #settings: SharedCircuitSettings;
  readonly #local: CircuitBreaker;
  readonly #listener: SharedCircuitListener;
  readonly #election: string;
  readonly #health: Health;
  readonly #opinion: Opinion;
  readonly #observer: Observer;
  readonly #voter: Voter;
  readonly #closer = new AbortController();
  #watching: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;
  /** A call was refused here since it opened: this node could probe. */
  #demand = false;
  /** The state of the fleet's circuit that was told last. */
  #told: SharedState = "closed";
  #wake: Timer | null = null;
  /** Why the local breaker is reset, where that is not its own affair. */
  #because: string | null = null;

  constructor(
    coordinator: Coordinator,
    settings: SharedCircuitSettings,
    local: CircuitBreaker,
    listener: SharedCircuitListener,
  ) {
    const { name, node, clock, random, pollMs, maxStalenessMs, ttlMs } = settings;
    const { signal } = this.#closer;
    const { emit } = listener;
    this.#coordinator = coordinator;
    this.#settings = settings;
    this.#local = local;
    this.#listener = listener;
    this.#election = `circuit:${name}`;
    this.#health = new Health(
      (what, error) => emit({ type: "degraded", what, error }),
      (what) => emit({ type: "restored", what }),
    );
    this.view = new SharedView(clock, maxStalenessMs);
    this.#opinion = new Opinion(local, clock, maxStalenessMs);
    const isWanted = (): boolean => this.#voter.role !== null || this.view.governs || !this.#health.isWell;
    const common = { clock, random, pollMs, signal, isWanted };
    this.#observer = new Observer({
      ...common,
      coordinator,
      election: this.#election,
      node,
      view: this.view,
      onLook: (lesson, error) => {
        this.#health.looked("line", error);
        this.#learned(lesson);
      },
    });
    this.orders = new FleetOrders({
      ...common,
      membership: coordinator.membership(`circuit:${name}:orders`),
      ttlMs,
      maxStalenessMs,
      onChange: () => this.#settle(this.orders.isolation ?? "isolation lifted"),
      onReset: () => this.#reset(),
      onLook: (error) => this.#health.looked("orders", error),
    });
    this.#voter = new Voter({
      election: coordinator.election(this.#election, { candidate: node }),
      clock,
      random,
      ttlMs,
      lead: (leadership, withdrawn) => this.#lead(leadership, withdrawn),
      onChange: (role) => {
        emit(role === null ? { type: "withdrawn" } : { type: "voted", role });
        this.#settle(this.view.word.reason);
      },
      onEvicted: () => local.reset(),
      onClosed: () => void this.close(),
      onTrouble: (error) => this.#health.failed("line", error),
    });
    local.onStateChange(({ reason }) => {
      this.#opinion.changed();
      this.#settle(this.#because ?? reason);
    });
  }

  get isClosed(): boolean {
    return this.#closer.signal.aborted;
  }

  /** Begins to observe. */
  start(): void {
    this.#watching = Promise.all([this.#observer.watch(), this.orders.watch()]);
    // The watches also end when the coordinator closes; then there is no fleet any more for this node.
    void this.#watching.then(() => this.close());
  }

  /** A call was refused because of what the fleet knows. */
  refused(): void {
    this.#demand = true;
  }

  /** Takes every claim out of the line, and lets everybody forget. */
  async reset(): Promise<void> {
    const { clock, pollMs } = this.#settings;
    const options = { recipe: "election", force: true } as const;
    const { holders, line } = await this.#coordinator.inspect(this.#election, options);
    const claims = [...holders, ...line];
    await Promise.all(claims.map(({ owner }) => this.#coordinator.evict(this.#election, owner, options)));
    const order = await this.orders.give({ kind: "reset" });
    this.#reset();
    // For as long as it takes one who missed the push to look.
    await sleep(clock, 2 * pollMs, this.#closer.signal);
    await order[Symbol.asyncDispose]();
  }

  /** Leaves the line and stops observing. Not for long: what a store does not answer ends by itself. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#closer.abort();
    this.#wake?.cancel();
    this.view.forget();
    this.#listener.changed("the breaker is closed");
    const done = new AbortController();
    const ends = Promise.all([this.#voter.close(), this.orders.close(), this.#watching]);
    await Promise.race([
      ends,
      sleep(this.#settings.clock, longestGoodbyeMs, done.signal, { keepAlive: true }),
    ]);
    done.abort();
  }

  #lead(leadership: Leadership, withdrawn: AbortSignal): Promise<void> {
    const { emit } = this.#listener;
    emit({ type: "leading", term: leadership.term });
    const office: Office = {
      ...this.#settings,
      view: this.view,
      observer: this.#observer,
      slot: this.slot,
      closing: this.#closer.signal,
      onWord: (lesson) => this.#learned(lesson),
      onProbed: (outcome, term) => emit({ type: "probed", outcome, term }),
      onIdle: () => (this.#demand = false),
      onTrouble: this.#health.failed,
      onWell: this.#health.well,
    };
    return new Term(leadership, withdrawn, office).serve();
  }

  #learned(lesson: Lesson): void {
    const reason = lesson === "vacant" ? "nobody votes any more" : this.view.word.reason;
    this.#because = reason;
    // What its calls found out before the circuit was closed is over here as well, and so is its vote.
    if (lesson === "closed") this.#local.reset();
    this.#because = null;
    this.#settle(reason);
  }

  #reset(): void {
    this.view.forget();
    this.#local.reset();
    this.#settle("reset");
  }

  /** Something may have changed: draws all conclusions from what is known now. */
  #settle(why: string): void {
    if (this.isClosed) return this.#listener.changed(why);
    const { governs, word } = this.view;
    const reason = governs || word.state === "closed" ? why : "the store is out of reach";
    const [from, to] = [this.#told, governs ? word.state : "closed"];
    this.#told = to;
    if (to === "closed") this.#demand = false;
    if (from !== to) this.#listener.emit({ type: "fleet-changed", from, to, attempt: word.attempt, reason });
    // Told first: what follows comes back here, with reasons of its own.
    this.#listener.changed(reason);
    this.#stand();
    this.#observer.arm();
    this.orders.arm();
    this.#armWake();
  }

  #stand(): void {
    const { governs } = this.view;
    const { line, place } = this.#observer;
    const { role } = this.#voter;
    const ails = this.#opinion.leftMs > 0;
    const wanted = roleFor({ governs, ails, hasDemand: this.#demand, role, place, line });
    // One who only offered to probe leaves first, and joins anew for its vote to be counted.
    const isAnother = !governs && role !== null && role !== wanted;
    this.#voter.want(isAnother ? null : wanted);
  }

  /** What is believed may become too old while nothing happens. */
  #armWake(): void {
    const { view, orders } = this;
    const { leftMs } = this.#opinion;
    const soonestMs = Math.min(
      view.governs ? view.staleInMs : Infinity,
      orders.isolation === null ? Infinity : orders.staleInMs,
      leftMs > 0 ? leftMs : Infinity,
    );
    this.#wake?.cancel();
    this.#wake = null;
    if (soonestMs === Infinity) return;
    // A moment later: by then it is too old by every clock's rounding.
    this.#wake = this.#settings.clock.schedule(soonestMs + 1, () => this.#settle("too old to be believed"));
  }
}

const longestGoodbyeMs = 1_000;
