import type {
  AcquireRequest,
  ClaimRef,
  GrantPush,
  ProposeRequest,
  ReleaseRequest,
  RenewRequest,
  Snapshot,
} from "../contract/backend.ts";
import { ChangeFeed } from "../base/change-feed.ts";
import { systemClock, type Clock } from "../base/clock.ts";
import { IdempotencyRecords } from "./records.ts";
import { Line, type Standing } from "./line.ts";

/** What each step says of itself. */
type Announcing = ClaimRef & { readonly announce?: boolean };

/**
 * The store behind `memoryBackend`: what a Redis or an etcd is to its clients. Several backends may share one, as several
 * processes share a server; that is how tests put two "processes" on one line.
 */
export class MemoryStore {
  readonly clock: Clock;
  readonly idempotency: IdempotencyRecords;
  readonly #lines = new Map<string, Line>();
  readonly #inboxes = new Map<string, (push: GrantPush) => void>();
  readonly #feeds = new Map<string, Set<ChangeFeed>>();
  #lastTicket = 0n;

  constructor(options: { clock?: Clock } = {}) {
    this.clock = options.clock ?? systemClock;
    this.idempotency = new IdempotencyRecords(() => this.#nowMs(), {
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

  evict(request: Announcing): boolean {
    return this.#step(request, (line, nowMs) => line.evict(request.owner, nowMs));
  }

  watch(resource: string, signal: AbortSignal): AsyncIterable<void> {
    if (signal.aborted) return new ChangeFeed(signal);
    const feeds = this.#feeds.get(resource) ?? new Set();
    this.#feeds.set(resource, feeds);
    const feed: ChangeFeed = new ChangeFeed(signal, () => {
      feeds.delete(feed);
      if (feeds.size === 0) this.#feeds.delete(resource);
    });
    feeds.add(feed);
    return feed;
  }

  inspect(resource: string): Snapshot {
    return this.#lines.get(resource)?.view(this.#nowMs()) ?? { holders: [], line: [] };
  }

  /** Forgets every claim, mark and record, as FLUSHALL does. Tickets and tokens still grow. */
  flush(): void {
    this.#lines.clear();
    this.idempotency.clear();
    for (const resource of this.#feeds.keys()) this.#announce(resource);
  }

  /** One atomic step on one resource; then its grants go out (but to `told`, who has it in the reply), and a line with nothing left to remember is dropped. */
  #step<T>({ resource, announce }: Announcing, act: (line: Line, nowMs: number) => T, told?: string): T {
    const nowMs = this.#nowMs();
    const line = this.#lines.get(resource) ?? new Line();
    const result = act(line, nowMs);
    for (const grant of line.takeGrants(told))
      this.#push(grant.inbox, { resource, owner: grant.owner, ticket: grant.ticket });
    if (line.takeChanged() && announce === true) this.#announce(resource);
    if (line.isEmpty(nowMs)) this.#lines.delete(resource);
    else this.#lines.set(resource, line);
    return result;
  }

  #announce(resource: string): void {
    for (const feed of this.#feeds.get(resource) ?? []) feed.notify();
  }

  /** In a microtask of its own: no listener runs inside another caller's step. */
  #push(inbox: string, push: GrantPush): void {
    queueMicrotask(() => this.#inboxes.get(inbox)?.(push));
  }

  #nowMs(): number {
    return this.clock.now().monoMs;
  }

  /** One counter for all resources, seeded by the wall clock, so that tokens also grow over a restart of the process. */
  #draw(): bigint {
    const microseconds = BigInt(Math.floor(this.clock.now().wallMs * 1000));
    this.#lastTicket = microseconds > this.#lastTicket ? microseconds : this.#lastTicket + 1n;
    return this.#lastTicket;
  }
}
