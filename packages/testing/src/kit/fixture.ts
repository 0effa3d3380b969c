import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";

import {
  createCoordinator,
  encodeName,
  type AcquireRequest,
  type Backend,
  type ClaimRef,
  type Coordinator,
  type CoordinatorOptions,
  type Granted,
  type GrantPush,
  type LeaseholdEvent,
  type Queued,
  type RenewAnswer,
} from "@leasehold/core";

import type { Harness, Link, StoreControl } from "./harness.ts";
import { WatchedCalls } from "./watched-calls.ts";

/** A process, at the level of the contract: a backend, and the pushes that it heard. */
export interface Peer {
  readonly backend: Backend;
  readonly pushes: GrantPush[];
}

/** A process, at the level of users. */
export interface Process {
  readonly coordinator: Coordinator;
  readonly events: LeaseholdEvent[];
  readonly link: Link;
}

/** Parts of an acquire request; what is the resource's own is named beside them. */
export type RequestOverrides = Partial<Omit<AcquireRequest, "resource">> & {
  readonly capacity?: number;
  readonly announce?: boolean;
};

/** What one case runs on: fresh names, fresh processes, and everything closed after it. */
export class Fixture {
  readonly ttlMs: number;
  readonly harness: Harness;
  readonly calls: WatchedCalls = new WatchedCalls();
  readonly #cleanups: (() => PromiseLike<void>)[] = [];

  constructor(harness: Harness) {
    this.harness = harness;
    this.ttlMs = harness.ttlMs;
  }

  /** The store's controls; cases that use one declare that they need it. */
  get store(): Required<StoreControl> {
    return this.harness.store as Required<StoreControl>;
  }

  /** A name that nothing else uses. */
  name(): string {
    return `case-${randomBytes(6).toString("hex")}`;
  }

  owner(): string {
    return randomBytes(16).toString("hex");
  }

  /** The name under which a store knows a key of a scope, of a process with defaults. */
  recordOf(scope: string, key: string): string {
    const hash = createHash("sha256").update(key).digest("hex");
    return `default:idempotency:${encodeName(scope)}/${hash}`;
  }

  elapse(ms: number): Promise<void> {
    return this.harness.elapse(ms);
  }

  /** Time passes, and this process can do nothing meanwhile. */
  block(ms: number): void {
    if (this.harness.block !== undefined) return this.harness.block(ms);
    for (const untilMs = performance.now() + ms; performance.now() < untilMs;);
  }

  /** Waits until `condition` holds; fails after `withinMs` of the harness's time. */
  async until(what: string, withinMs: number, condition: () => boolean | Promise<boolean>): Promise<void> {
    for (let waitedMs = 0; waitedMs <= withinMs; waitedMs += 5) {
      if (await condition()) return;
      await this.elapse(5);
    }
    assert.fail(`${what}: not within ${withinMs} ms`);
  }

  async peer(options: { knowsGrants?: boolean } = {}): Promise<Peer> {
    const backend = await connected(await this.harness.open());
    this.#cleanups.push(() => backend[Symbol.asyncDispose]());
    return this.#listen(backend, options.knowsGrants ?? true);
  }

  async process(options: Partial<CoordinatorOptions> = {}): Promise<Process> {
    const backend = await connected(await this.harness.open());
    return this.#coordinate(backend, options, undefined as never);
  }

  async processBehindLink(options: Partial<CoordinatorOptions> = {}): Promise<Process> {
    const { backend, link } =
      (await this.harness.openThroughLink?.()) ?? assert.fail("this case needs a link");
    await connected(backend);
    return this.#coordinate(backend, options, link);
  }

  /** Resolves when a process has as many waits in line as `count`. */
  async inLine({ events }: Process, count = 1): Promise<void> {
    await this.until("in line", 2_000, () => events.filter(({ type }) => type === "queued").length >= count);
  }

  /** An acquire request with defaults: a lock, willing to wait. */
  request(name: string, overrides: RequestOverrides = {}): AcquireRequest {
    const { capacity = 1, announce = false, ...more } = overrides;
    const resource = { name, capacity, announce };
    const fixed = { weight: 1, queue: true, value: "", maxWaiters: 1000, timeoutMs: 5_000 };
    return { resource, owner: this.owner(), ttlMs: this.ttlMs, ...fixed, ...more };
  }

  /** Joins, and fails unless it was granted at once. */
  async granted(peer: Peer, request: AcquireRequest): Promise<Granted & AcquireRequest> {
    const reply = await peer.backend.leases.acquire(request);
    assert.equal(reply.kind, "granted", `expected a grant, got ${show(reply)}`);
    return { ...request, ...(reply as Granted) };
  }

  /** Joins, and fails unless it has to wait. */
  async queued(peer: Peer, request: AcquireRequest): Promise<Queued & AcquireRequest> {
    const reply = await peer.backend.leases.acquire(request);
    assert.equal(reply.kind, "queued", `expected to wait, got ${show(reply)}`);
    return { ...request, ...(reply as Queued) };
  }

  async renew(peer: Peer, ...claims: (AcquireRequest & { ticket: bigint })[]): Promise<RenewAnswer[]> {
    const requests = claims.map(({ resource, owner, ttlMs, ticket }) => {
      return { resource, owner, ttlMs, ticket };
    });
    return peer.backend.leases.renew(requests, { timeoutMs: 5_000 });
  }

  propose(
    peer: Peer,
    { resource, owner, ticket }: ClaimRef & { ticket: bigint },
    value: string,
    sequence: number,
  ): Promise<boolean> {
    const proposal = { resource, owner, ticket, value, sequence, timeoutMs: 5_000 };
    return peer.backend.leases.propose(proposal);
  }

  evict(peer: Peer, { resource, owner }: ClaimRef): Promise<boolean> {
    return peer.backend.leases.evict({ resource, owner, timeoutMs: 5_000 });
  }

  release(peer: Peer, { resource, owner }: ClaimRef, departedForMs = 0): Promise<boolean> {
    return peer.backend.leases.release({ resource, owner, departedForMs, timeoutMs: 5_000 });
  }

  /** Keeps the claims alive for `ms`, as a process does that renews every third of the ttl. */
  async keepAlive(peer: Peer, ms: number, ...claims: (AcquireRequest & { ticket: bigint })[]): Promise<void> {
    const stepMs = this.ttlMs / 3;
    for (let passedMs = 0; passedMs < ms; passedMs += stepMs) {
      await this.elapse(Math.min(stepMs, ms - passedMs));
      await this.renew(peer, ...claims);
    }
  }

  /** Fails unless the peer hears that exactly this claim was granted. */
  async hears(peer: Peer, claim: { owner: string; ticket: bigint }): Promise<void> {
    const heard = (): boolean =>
      peer.pushes.some((push) => push.owner === claim.owner && push.ticket === claim.ticket);
    await this.until("the grant was pushed", 2_000, heard);
  }

  async tearDown(): Promise<void> {
    for (const close of this.#cleanups.splice(0).reverse()) await close();
  }

  #listen(backend: Backend, known: boolean): Peer {
    const pushes: GrantPush[] = [];
    backend.leases.onGrant({
      granted: (push) => {
        pushes.push(push);
        return known;
      },
      lookAgain: () => {},
    });
    return { backend: this.calls.watch(backend), pushes };
  }

  #coordinate(backend: Backend, options: Partial<CoordinatorOptions>, link: Link): Process {
    const events: LeaseholdEvent[] = [];
    const onEvent = (event: LeaseholdEvent): void => void events.push(event);
    const coordinator = createCoordinator({ backend, ttlMs: this.ttlMs, onEvent, ...options });
    this.#cleanups.push(async () => {
      let closed = false;
      const closing = coordinator.close().finally(() => (closed = true));
      // A close may itself wait for time: a departure that the store does not answer.
      await this.until("close settled", 20_000, () => closed);
      await closing;
    });
    return { coordinator: this.calls.watch(coordinator), events, link: this.calls.watch(link) };
  }
}

/** Once the store has answered: no case is about how long a machine takes to connect. */
async function connected(backend: Backend): Promise<Backend> {
  await backend.leases.inspect("connect", { timeoutMs: 10_000 });
  return backend;
}

/** For messages: bigints and all. */
export function show(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => (typeof item === "bigint" ? `${item}n` : item));
}
