import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import { createCoordinator, type Coordinator } from "@leasehold/core";
import { checkFencedExclusion, checkTokenOrder, findOverlaps } from "@leasehold/testing";

import { waitUntil } from "../servers/wait-until.ts";
import { expectWithin, LateError } from "../stall/index.ts";
import { Child, type Message } from "./child.ts";
import type { CandidateArgs } from "./election-candidate.ts";
import { FencedResource } from "./fenced-resource.ts";
import { openBackend, type StoreSpec } from "./store-spec.ts";

/** A term, as its leader saw it begin. */
export interface Term {
  readonly leader: Child;
  readonly candidate: string;
  readonly term: bigint;
  readonly atNs: bigint;
}

/**
 * Candidates and observers in processes of their own, around one election and a guarded resource.
 */
export class ElectionScenario implements AsyncDisposable {
  readonly ttlMs: number;
  readonly observers: readonly Child[];
  readonly resource: FencedResource;
  readonly #namespace: string;
  readonly #store: StoreSpec;
  readonly #coordinator: Coordinator;
  readonly #all: Child[] = [];
  readonly #living = new Set<Child>();

  private constructor(
    place: { store: StoreSpec; namespace: string; ttlMs: number },
    observers: readonly Child[],
    resource: FencedResource,
    coordinator: Coordinator,
  ) {
    this.#store = place.store;
    this.#namespace = place.namespace;
    this.ttlMs = place.ttlMs;
    this.observers = observers;
    this.resource = resource;
    this.#coordinator = coordinator;
  }

  /** Resolves when every observer has seen that nobody leads yet. */
  static async open(
    store: StoreSpec,
    options: { ttlMs: number; observers?: number },
  ): Promise<ElectionScenario> {
    const { ttlMs, observers = 0 } = options;
    const namespace = `election-${randomUUID()}`;
    const coordinator = createCoordinator({ backend: await openBackend(store), namespace });
    const scenario = new ElectionScenario(
      { store, namespace, ttlMs },
      Array.from({ length: observers }, () => new Child("election-observer.ts", { store, namespace })),
      await FencedResource.listen(),
      coordinator,
    );
    await Promise.all(scenario.observers.map((observer) => observer.heard("saw")));
    return scenario;
  }

  /**
   * Another candidate, which stands from now on; by a way of its own to the store, if one is given.
   */
  async add(store: StoreSpec = this.#store): Promise<Child> {
    const candidate = `candidate-${this.#all.length}`;
    const { port } = this.resource;
    const args: CandidateArgs = { store, namespace: this.#namespace, ttlMs: this.ttlMs, candidate, port };
    const child = new Child("election-candidate.ts", args);
    this.#all.push(child);
    this.#living.add(child);
    await child.heard("ready");
    child.tell("start");
    return child;
  }

  /** Resolves when all living candidates stand, one in front. */
  async linedUp(): Promise<void> {
    await waitUntil(`${this.#living.size} in line`, async () => {
      const { holders, line } = await this.#coordinator.inspect("shared", { recipe: "election" });
      return holders.length === 1 && line.length === this.#living.size - 1;
    });
  }

  /** All terms, in the order in which they began. */
  get terms(): Term[] {
    const elected = this.#all.flatMap((leader) =>
      leader.all("elected").map((message) => ({ leader, ...termOf(message) })),
    );
    return elected.toSorted((a, b) => (a.atNs < b.atNs ? -1 : 1));
  }

  /** The first term above `term`, begun or to come. */
  async termAfter(term: bigint): Promise<Term> {
    let next: Term | undefined;
    const isThere = (): boolean => (next = this.terms.find((each) => each.term > term)) !== undefined;
    await waitUntil(`a term after ${term}`, isThere);
    if (next === undefined) throw new Error("unreachable");
    return next;
  }

  /** SIGKILL. Answers when it ended, on `process.hrtime.bigint()`. */
  async kill(candidate: Child): Promise<bigint> {
    candidate.kill("SIGKILL");
    this.#living.delete(candidate);
    await candidate.ending();
    return candidate.endedAtNs ?? 0n;
  }

  /** Kills all who wait, and then the leader: nobody is left to follow. */
  async killAll({ leader }: Term): Promise<void> {
    const waiting = [...this.#living].filter((candidate) => candidate !== leader);
    await Promise.all(waiting.map((candidate) => this.kill(candidate)));
    // What they leave in the line lives up to a ttl longer: if the leader's claim ended first, a
    // dead candidate would lead.
    await this.linedUp();
    await this.kill(leader);
  }

  /**
   * Kills a leader, and answers with the next term and how long it took to begin: three ttls at
   * most.
   */
  async killLeader({ leader, term }: Term): Promise<Term & { readonly afterMs: number }> {
    const killedAtNs = await this.kill(leader);
    const next = await this.termAfter(term);
    const span = { fromNs: killedAtNs, toNs: next.atNs };
    const afterMs = expectWithin("the failover", 3 * this.ttlMs, span);
    return { ...next, afterMs };
  }

  /**
   * Until this leader has made so many more writes. It is late, if it leads no more: nobody has
   * disturbed it.
   */
  async serves({ leader, term }: Pick<Term, "leader" | "term">, looks: number): Promise<void> {
    const count = (): number => looksOf(leader).filter((look) => look.token === term).length;
    const enough = count() + looks;
    await waitUntil(`${looks} more looks`, () => {
      const end = leader.all("stepped down").find((message) => message["term"] === String(term));
      if (end !== undefined)
        throw new LateError(`the leader of term ${term} is no more: ${String(end["reason"])}`);
      return count() >= enough;
    });
  }

  /** Ends all who still live, and holds the whole run against what an election promises. */
  async finish(): Promise<{ readonly refused: number }> {
    const living = [...this.#living, ...this.observers];
    for (const child of living) child.tell("stop");
    const endings = await Promise.all(living.map((child) => child.ending()));
    assert.deepEqual(
      endings,
      living.map(() => ({ code: 0, signal: null })),
    );
    const everybody = [...this.#all, ...this.observers];
    assert.deepEqual(
      everybody.flatMap((child) => child.troubles),
      [],
    );
    assert.equal(everybody.map((child) => child.output).join(""), "");

    const { terms } = this;
    assert.deepEqual(checkTokenOrder(terms.map(({ term }) => term)), []);
    const { tokens, overlaps } = findOverlaps(this.#all.flatMap(looksOf));
    assert.deepEqual({ tokens, overlaps }, { tokens: terms.length, overlaps: 0 });
    const fenced = checkFencedExclusion(this.resource.attempts);
    const { wronglyRefused, violations } = fenced;
    assert.deepEqual({ wronglyRefused, violations }, { wronglyRefused: 0, violations: [] });
    return fenced;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#all, ...this.observers].map((child) => child[Symbol.asyncDispose]()));
    await this.#coordinator.close();
    await this.resource[Symbol.asyncDispose]();
  }
}

/** Point claims of one candidate. */
export function looksOf(candidate: Child): { token: bigint; atNs: bigint }[] {
  return candidate.all("held").map(({ term, atNs }) => ({
    token: BigInt(String(term)),
    atNs: BigInt(String(atNs)),
  }));
}

/** What an observer saw, in order: a term and who leads in it, or null for a vacancy. */
export function seenBy(observer: Child): ({ term: bigint; candidate: string; atNs: bigint } | null)[] {
  return observer.all("saw").map((message) => (message["term"] === null ? null : termOf(message)));
}

function termOf(message: Message): { term: bigint; candidate: string; atNs: bigint } {
  const { term, candidate, atNs } = message;
  return { term: BigInt(String(term)), candidate: String(candidate), atNs: BigInt(String(atNs)) };
}
