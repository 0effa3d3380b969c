import type { Clock } from "../base/clock.ts";
import { systemClock } from "../base/system-clock.ts";
import type { ChangeListener } from "../contract/call-options.ts";
import type {
  AcquireRequest,
  ClaimRef,
  GrantPush,
  Look,
  LookOptions,
  ProposeRequest,
  ReleaseRequest,
  RenewRequest,
  Snapshot,
} from "../contract/lease-store.ts";
import { Line, type Standing } from "./line.ts";
import { IdempotencyRecords } from "./records.ts";

/**
 * The store behind `memoryBackend`: what a Redis or an etcd is to its clients. Several backends may
 * share one, as several processes share a server. So a test can put two "processes" on one line.
 *
 * @example
 * const store = new MemoryStore();
 * const [one, two] = [memoryBackend({ store }), memoryBackend({ store })];
 */
export class MemoryStore {
  readonly clock: Clock;
  readonly records: IdempotencyRecords;
  readonly #lines = new Map<string, Line>();
  readonly #inboxes = new Map<string, (push: GrantPush) => void>();
  readonly #watchers = new Map<string, Set<ChangeListener>>();
  #lastTicket = 0n;
  #lastVersion = 0;

  constructor(options: { clock?: Clock } = {}) {
    this.clock = options.clock ?? systemClock;
    this.records = new IdempotencyRecords(() => this.#nowMs(), {
      draw: () => this.#draw(),
      changed: (record) => this.#announce(record),
    });
  }

  /** Opens a process's inbox for pushes; returns a function that closes it. */
  subscribe(inbox: string, deliver: (push: GrantPush) => void): () => void {
    this.#inboxes.set(inbox, deliver);
    return () => this.#inboxes.delete(inbox);
  }

  acquire(request: AcquireRequest, inbox: string): Standing {
    const step = (line: Line, nowMs: number): Standing =>
      line.join(request, inbox, nowMs, () => this.#draw());
    return this.#step(request, step, request.owner);
  }

  renew(request: RenewRequest): Standing | null {
    return this.#step(request, (line, nowMs) => line.renew(request, nowMs), request.owner);
  }

  release(request: ReleaseRequest): boolean {
    return this.#step(request, (line, nowMs) =>
      line.release(request.owner, request.departedForMs ?? 0, nowMs),
    );
  }

  propose(request: ProposeRequest): boolean {
    return this.#step(request, (line, nowMs) => line.propose(request, nowMs));
  }

  evict(request: ClaimRef): boolean {
    return this.#step(request, (line, nowMs) => line.evict(request.owner, nowMs));
  }

  /** Hears changes of the resource or record of that name. Returns a function that ends that. */
  watch(name: string, listener: ChangeListener): () => void {
    // Wrapped, so that the same listener may be registered twice.
    const watcher = (): void => listener();
    const watchers = this.#watchers.get(name) ?? new Set();
    this.#watchers.set(name, watchers);
    watchers.add(watcher);
    this.#notify(watchers, watcher);
    return () => {
      watchers.delete(watcher);
      if (watchers.size === 0 && this.#watchers.get(name) === watchers) this.#watchers.delete(name);
    };
  }

  inspect(resource: string): Snapshot {
    return this.#lines.get(resource)?.view(this.#nowMs()) ?? { holders: [], line: [] };
  }

  look(resource: string, options: Omit<LookOptions, "timeoutMs"> = {}): Look {
    return (this.#lines.get(resource) ?? new Line()).look(options, this.#nowMs());
  }

  /** Forgets every claim, mark and record, as FLUSHALL does. Tickets and tokens go on growing. */
  flush(): void {
    this.#lines.clear();
    this.records.clear();
    for (const resource of this.#watchers.keys()) this.#announce(resource);
  }

  /**
   * One atomic step on one resource. Then its grants go out, except to the owner `told`, who learns
   * of its own by the reply. A line with nothing left to remember is dropped.
   */
  #step<T>({ resource }: ClaimRef, act: (line: Line, nowMs: number) => T, told?: string): T {
    const { name, announce } = resource;
    const nowMs = this.#nowMs();
    const line = this.#lines.get(name) ?? new Line();
    const result = act(line, nowMs);
    for (const { inbox, owner, ticket } of line.takeGrants(told))
      this.#push(inbox, { resource: name, owner, ticket });
    if (line.takeChanged(() => String((this.#lastVersion += 1))) && announce) this.#announce(name);
    if (line.isEmpty(nowMs)) this.#lines.delete(name);
    else this.#lines.set(name, line);
    return result;
  }

  #announce(name: string): void {
    const watchers = this.#watchers.get(name);
    for (const watcher of watchers ?? []) this.#notify(watchers, watcher);
  }

  /** Calls the watcher in a microtask of its own, unless it was ended meanwhile. */
  #notify(watchers: ReadonlySet<ChangeListener> | undefined, watcher: ChangeListener): void {
    queueMicrotask(() => {
      if (watchers?.has(watcher) === true) watcher();
    });
  }

  /** Delivers in a microtask of its own: no listener runs inside another caller's step. */
  #push(inbox: string, push: GrantPush): void {
    queueMicrotask(() => this.#inboxes.get(inbox)?.(push));
  }

  #nowMs(): number {
    return this.clock.now().monoMs;
  }

  /**
   * Draws from one counter for all resources. The wall clock seeds it, so that tokens also grow
   * over a restart of the process.
   */
  #draw(): bigint {
    const microseconds = BigInt(Math.floor(this.clock.now().wallMs * 1000));
    this.#lastTicket = microseconds > this.#lastTicket ? microseconds : this.#lastTicket + 1n;
    return this.#lastTicket;
  }
}
