import type { AcquireRequest, GrantPush, ReleaseRequest, RenewRequest, Snapshot } from "../backend.ts";
import { systemClock, type Clock } from "../clock.ts";
import { Line, type Standing } from "./line.ts";

/**
 * The store behind `memoryBackend`: what a Redis or an etcd is to its clients. Several backends may share one, as several
 * processes share a server; that is how tests put two "processes" on one line.
 */
export class MemoryStore {
  readonly clock: Clock;
  readonly #lines = new Map<string, Line>();
  readonly #inboxes = new Map<string, (push: GrantPush) => void>();
  #lastTicket = 0n;

  constructor(options: { clock?: Clock } = {}) {
    this.clock = options.clock ?? systemClock;
  }

  /** Opens a process's inbox for pushes; returns a function that closes it. */
  subscribe(inbox: string, deliver: (push: GrantPush) => void): () => void {
    this.#inboxes.set(inbox, deliver);
    return () => this.#inboxes.delete(inbox);
  }

  acquire(request: AcquireRequest, inbox: string): Standing {
    const nowMs = this.#nowMs();
    return this.#step(request.resource, request.owner, nowMs, (line) =>
      line.join(request, inbox, nowMs, () => this.#draw()),
    );
  }

  renew(request: RenewRequest): Standing | null {
    const nowMs = this.#nowMs();
    return this.#step(request.resource, request.owner, nowMs, (line) => line.renew(request, nowMs));
  }

  release(request: ReleaseRequest): boolean {
    const nowMs = this.#nowMs();
    return this.#step(request.resource, request.owner, nowMs, (line) =>
      line.release(request.owner, request.departedForMs ?? 0, nowMs),
    );
  }

  inspect(resource: string): Snapshot {
    return this.#lines.get(resource)?.view(this.#nowMs()) ?? { holders: [], line: [] };
  }

  /** Forgets every claim and every mark, as FLUSHALL does. Tickets still grow. */
  flush(): void {
    this.#lines.clear();
  }

  /** One atomic step on one resource; then its grants go out, and a line with nothing left to remember is dropped. */
  #step<T>(resource: string, caller: string, nowMs: number, act: (line: Line) => T): T {
    const line = this.#lines.get(resource) ?? new Line();
    const result = act(line);
    for (const { owner, ticket, inbox } of line.takeGrants(caller))
      this.#push(inbox, { resource, owner, ticket });
    if (line.isEmpty(nowMs)) this.#lines.delete(resource);
    else this.#lines.set(resource, line);
    return result;
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
