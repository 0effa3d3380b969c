import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";

import type { AcquireRequest, Backend, GrantPush, RenewRequest, ShapedResource } from "@leasehold/core";
import { waitUntil } from "../servers/wait-until.ts";
import type { Command, Script } from "./commands.ts";
import { LineModel, type ModelClaim } from "./line-model.ts";

/** Where a script is run: two processes on one store. */
export interface StoreUnderTest {
  readonly backends: readonly [Backend, Backend];
  /** How long a claim lives that is let die. */
  readonly shortTtlMs: number;
  /** Lets so much time pass: where it is simulated. */
  readonly elapse?: (ms: number) => Promise<void>;
}

const timeoutMs = 5_000;

/**
 * Runs a script on a line of its own, and holds each answer, and the line after it, against the
 * model.
 */
export async function runScript(store: StoreUnderTest, script: Script): Promise<void> {
  const run = new ScriptRun(store, script);
  try {
    for (const command of script.commands) await run.take(command);
    run.expectNoStrayPush();
  } finally {
    await run.clear();
  }
}

class ScriptRun {
  readonly #store: StoreUnderTest;
  readonly #model: LineModel;
  readonly #resource = `model-${randomUUID()}`;
  readonly #owners = new Map<number, string>();
  /**
   * Whether the store has taken a step since time passed: only then has it granted what became
   * free.
   */
  #settled = true;
  readonly #pushes: GrantPush[] = [];
  readonly #granted = new Set<bigint>();
  readonly #stopListening: readonly (() => void)[];

  constructor(store: StoreUnderTest, { capacity, maxWaiters }: Script) {
    this.#store = store;
    this.#model = new LineModel(capacity, maxWaiters);
    const granted = (push: GrantPush): boolean => {
      if (push.resource === this.#resource) this.#pushes.push(push);
      return true;
    };
    this.#stopListening = store.backends.map(({ leases }) =>
      leases.onGrant({ granted, lookAgain: () => {} }),
    );
  }

  async take(command: Command): Promise<void> {
    const owner = this.#owner(command.slot);
    const claim = this.#model.find(owner);
    const { leases } = this.#backend(command.slot);
    const ref = { resource: this.#line(), owner, timeoutMs };
    switch (command.do) {
      case "acquire":
        await this.#acquire(command.slot, command);
        break;
      case "acquire with another capacity": {
        if (this.#model.live.length === 0) return;
        const { capacity: shape } = this.#model;
        const capacity = shape === 1 ? 2 : shape - 1;
        const reply = await leases.acquire(
          this.#request(command.slot, { capacity, ttlMs: claim?.ttlMs ?? 60_000 }),
        );
        // The first call's shape stands for a claim that is there already.
        if (claim === undefined)
          assert.deepEqual(reply, { kind: "refused", reason: "shape", capacity: shape });
        else {
          assert.partialDeepStrictEqual(reply, this.#model.joining(owner, 1, true));
          this.#model.refresh(claim);
        }
        break;
      }
      case "renew":
        await this.#renew(command.slot, [claim ?? { owner, ticket: this.#model.highestTicket + 1n }]);
        break;
      case "renew another ticket":
        await this.#renew(command.slot, [{ owner, ticket: (claim?.ticket ?? 0n) + 1n }]);
        break;
      case "renew all":
        await this.#renewAll();
        break;
      case "release":
        assert.equal(await leases.release(ref), claim !== undefined);
        this.#model.remove(owner);
        // A released owner is never used again.
        this.#owners.delete(command.slot);
        break;
      case "evict":
        assert.equal(await this.#backend(command.slot + 1).leases.evict(ref), claim !== undefined);
        if (claim !== undefined) claim.evicted = true;
        break;
      case "propose": {
        const { value, sequence } = command;
        const ticket = claim?.ticket ?? this.#model.highestTicket;
        const isHeld = claim !== undefined && this.#model.isGranted(claim);
        assert.equal(await leases.propose({ ...ref, ticket, value, sequence }), isHeld);
        if (isHeld && sequence > claim.sequence) Object.assign(claim, { value, sequence });
        break;
      }
      case "die in line":
        if (!(await this.#dieInLine(command))) return;
        break;
      case "elapse":
        await this.#store.elapse?.(command.ms);
        this.#model.nowMs += command.ms;
        this.#settled = false;
        return this.#expectLine();
    }
    this.#settled = true;
    await this.#expectLine();
  }

  /** Every push that was heard told of a claim that was granted: none came for one that waits. */
  expectNoStrayPush(): void {
    for (const { ticket } of this.#pushes) assert.ok(this.#granted.has(ticket), `push of ${ticket}`);
  }

  async clear(): Promise<void> {
    for (const stop of this.#stopListening) stop();
    for (const [slot, owner] of this.#owners)
      await this.#backend(slot).leases.release({ resource: this.#line(), owner, timeoutMs });
  }

  async #acquire(slot: number, options: { weight: number; queue: boolean; ttlMs: number }): Promise<void> {
    const owner = this.#owner(slot);
    const mine = this.#model.find(owner);
    const expected = this.#model.joining(owner, options.weight, options.queue);
    // A call that is repeated says the same again.
    const { weight, ttlMs } = mine ?? options;
    const reply = await this.#backend(slot).leases.acquire(
      this.#request(slot, { ...options, weight, ttlMs }),
    );
    assert.equal(reply.kind, expected.kind);
    if (reply.kind === "refused" || expected.kind === "refused") {
      assert.partialDeepStrictEqual(reply, expected);
      return;
    }
    if (mine === undefined) this.#joined(owner, reply.ticket, { weight, ttlMs });
    else {
      assert.equal(reply.ticket, expected.ticket);
      this.#model.refresh(mine);
    }
  }

  #joined(owner: string, ticket: bigint, details: { weight: number; ttlMs: number }): ModelClaim {
    assert.ok(ticket > this.#model.highestTicket, "tickets grow");
    return this.#model.join({ owner, ticket, value: valueOf(owner), ...details });
  }

  async #renew(slot: number, claims: readonly Pick<ModelClaim, "owner" | "ticket">[]): Promise<void> {
    const requests: RenewRequest[] = claims.map(({ owner, ticket }) => {
      const ttlMs = this.#model.find(owner)?.ttlMs ?? 60_000;
      return { resource: this.#line(), owner, ticket, ttlMs };
    });
    const answers = await this.#backend(slot).leases.renew(requests, { timeoutMs });
    const expected = claims.map(({ owner, ticket }) => {
      const claim = this.#model.find(owner);
      if (claim === undefined || claim.ticket !== ticket) return { kind: "gone" };
      if (claim.evicted) return { kind: "evicted" };
      this.#model.refresh(claim);
      return { kind: "renewed", ticket, granted: this.#model.isGranted(claim) };
    });
    assert.partialDeepStrictEqual(answers, expected);
  }

  async #renewAll(): Promise<void> {
    for (const slot of [0, 1]) {
      const mine = [...this.#owners].filter(([each]) => each % 2 === slot).map(([, owner]) => owner);
      await this.#renew(
        slot,
        this.#model.live.filter(({ owner }) => mine.includes(owner)),
      );
    }
  }

  /**
   * What is answered before the death depends on when it comes; what stands after it does not.
   * False: the line has no room for it.
   */
  async #dieInLine(command: Extract<Command, { do: "die in line" }>): Promise<boolean> {
    const { slot, weight, follower, followerWeight } = command;
    const [owner, after] = [this.#owner(slot), this.#owner(follower)];
    const model = this.#model;
    const isBusy = model.find(owner) !== undefined || model.find(after) !== undefined;
    if (slot === follower || isBusy || model.waiting.length + 2 > model.maxWaiters) return false;
    const { shortTtlMs: ttlMs } = this.#store;
    await this.#acquire(slot, { weight, queue: true, ttlMs });
    const ahead = model.holders;
    const reply = await this.#backend(follower).leases.acquire(
      this.#request(follower, { weight: followerWeight }),
    );
    if (reply.kind === "refused") throw new Error(`the follower was refused: ${reply.reason}`);
    this.#joined(after, reply.ticket, { weight: followerWeight, ttlMs: 60_000 });
    for (const { ticket } of [...ahead, ...model.holders]) this.#granted.add(ticket);
    const isDead = async (): Promise<boolean> => {
      const { holders, line } = await this.#backend(0).leases.inspect(this.#resource, { timeoutMs });
      return ![...holders, ...line].some((claim) => claim.owner === owner);
    };
    if (this.#store.elapse !== undefined) {
      await this.#store.elapse(ttlMs);
      model.nowMs += ttlMs;
      assert.ok(await isDead());
    } else {
      await waitUntil("dead", isDead);
      model.remove(owner);
    }
    await this.#renewAll();
    return true;
  }

  /** The store shows what the model has, the whole of it. */
  async #expectLine(): Promise<void> {
    const { holders, line } = await this.#backend(1).leases.inspect(this.#resource, { timeoutMs });
    const shown = [...holders, ...line].map(({ owner, ticket, weight, value, sequence, evicted }) => {
      return { owner, ticket, weight, value, sequence, evicted };
    });
    const model = this.#model;
    assert.deepEqual(
      shown,
      model.live.map(({ owner, ticket, weight, value, sequence, evicted }) => {
        return { owner, ticket, weight, value, sequence, evicted };
      }),
    );
    if (this.#settled) assert.equal(holders.length, model.holders.length);
    else assert.ok(holders.length <= model.holders.length);
    for (const { ticket } of model.holders) this.#granted.add(ticket);
    for (const [index, { remainingMs }] of [...holders, ...line].entries()) {
      const claim = model.live[index];
      if (claim === undefined) continue;
      if (this.#store.elapse !== undefined) assert.equal(remainingMs, claim.expiresAtMs - model.nowMs);
      else assert.ok(remainingMs <= claim.ttlMs);
      assert.ok(remainingMs > 0);
    }
  }

  #request(
    slot: number,
    { capacity, ...options }: Partial<Omit<AcquireRequest, "resource">> & { readonly capacity?: number },
  ): AcquireRequest {
    const { maxWaiters } = this.#model;
    const owner = this.#owner(slot);
    const fixed = { weight: 1, queue: true, ttlMs: 60_000, maxWaiters, timeoutMs };
    return { resource: this.#line(capacity), owner, value: valueOf(owner), ...fixed, ...options };
  }

  #line(capacity = this.#model.capacity): ShapedResource {
    return { name: this.#resource, capacity, announce: false };
  }

  #owner(slot: number): string {
    const owner = this.#owners.get(slot) ?? randomBytes(16).toString("hex");
    this.#owners.set(slot, owner);
    return owner;
  }

  #backend(slot: number): Backend {
    return this.#store.backends[slot % 2 === 0 ? 0 : 1];
  }
}

function valueOf(owner: string): string {
  return `value of ${owner.slice(0, 8)}`;
}
