import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import { createCoordinator, type Coordinator } from "@leasehold/core";

import { waitUntil } from "../servers/wait-until.ts";
import { Child, type Message } from "./child.ts";
import { CircuitDependency } from "./circuit-dependency.ts";
import type { CircuitNodeArgs } from "./circuit-node.ts";
import { openBackend, type StoreSpec } from "./store-spec.ts";

export interface Counts {
  readonly ok: number;
  readonly failed: number;
  readonly rejected: number;
  readonly state: string;
  readonly governedBy: string;
}

export const times = { ttlMs: 1_000, pollMs: 500, maxStalenessMs: 2_000, openMs: 1_000 } as const;

/** Five processes that call one dependency through one shared circuit. */
export class CircuitFleet implements AsyncDisposable {
  readonly nodes: readonly Child[];
  readonly dependency: CircuitDependency;
  readonly #coordinator: Coordinator;
  readonly #living: Set<Child>;
  #asked = 0;

  private constructor(nodes: readonly Child[], dependency: CircuitDependency, coordinator: Coordinator) {
    this.nodes = nodes;
    this.#living = new Set(nodes);
    this.dependency = dependency;
    this.#coordinator = coordinator;
  }

  /** Resolves when every node has made calls that went well. */
  static async open(store: StoreSpec): Promise<CircuitFleet> {
    const namespace = `circuit-${randomUUID()}`;
    const dependency = await CircuitDependency.listen();
    const nodes = Array.from({ length: 5 }, (_, index) => {
      const args: CircuitNodeArgs = {
        store,
        namespace,
        node: `node-${index}`,
        port: dependency.port,
        ...times,
      };
      return new Child("circuit-node.ts", args);
    });
    const coordinator = createCoordinator({ backend: await openBackend(store), namespace });
    const fleet = new CircuitFleet(nodes, dependency, coordinator);
    await Promise.all(nodes.map((node) => node.heard("ready")));
    await fleet.callsGoThrough();
    return fleet;
  }

  get living(): readonly Child[] {
    return [...this.#living];
  }

  /** Which process this node is. */
  find(node: string): Child {
    const found = this.nodes[Number(node.slice("node-".length))];
    if (found === undefined) throw new Error(`there is no ${node}`);
    return found;
  }

  nameOf(child: Child): string {
    return `node-${this.nodes.indexOf(child)}`;
  }

  async kill(child: Child): Promise<void> {
    this.#living.delete(child);
    child.kill("SIGKILL");
    await child.ending();
  }

  /** How each living node's calls ended so far. */
  async counts(among: readonly Child[] = this.living): Promise<Counts[]> {
    const command = `count ${this.#asked++}`;
    for (const child of among) child.tell(command);
    const reply = (child: Child): Message | undefined =>
      child.all("counts").find((message) => message["command"] === command);
    await waitUntil("counts", () => among.every((child) => reply(child) !== undefined));
    return among.map((child) => reply(child) as unknown as Counts);
  }

  /** Until every living node has had so many more calls that went well, and nothing else. */
  async callsGoThrough(count = 5): Promise<void> {
    const before = await this.counts();
    const enough = async (): Promise<boolean> =>
      (await this.counts()).every(({ ok }, index) => ok >= (before[index]?.ok ?? 0) + count);
    await waitUntil("calls that go through", enough);
  }

  /**
   * Until each of these nodes' breakers says so. Answers when the last one began to, on
   * `process.hrtime.bigint()`.
   */
  async allAre(
    state: string,
    options: { among?: readonly Child[]; governedBy?: string } = {},
  ): Promise<bigint> {
    const { among = this.living, governedBy } = options;
    const last = (child: Child): Message | undefined => child.all("state").at(-1);
    const is = async (): Promise<boolean> => {
      if (!among.every((child) => (last(child)?.["to"] ?? "closed") === state)) return false;
      if (governedBy === undefined) return true;
      return (await this.counts(among)).every((counts) => counts.governedBy === governedBy);
    };
    await waitUntil(`all ${state}`, is);
    const since = among.map((child) => BigInt(last(child) === undefined ? 0 : String(last(child)?.["atNs"])));
    return since.reduce((latest, atNs) => (atNs > latest ? atNs : latest), 0n);
  }

  /** Who stands in the circuit's line, the leader first. */
  async standing(): Promise<string[]> {
    const { holders, line } = await this.#coordinator.inspect("circuit:dependency", { recipe: "election" });
    return [...holders, ...line].map(({ origin }) => origin?.candidate ?? "?");
  }

  async standingAre(nodes: readonly string[]): Promise<void> {
    const are = async (): Promise<boolean> => (await this.standing()).toSorted().join() === nodes.join();
    await waitUntil(`${nodes.join() || "nobody"} in line`, are);
  }

  /** Ends all who live, and holds the run against what it promised to every call. */
  async finish(): Promise<void> {
    for (const child of this.living) child.tell("stop");
    const endings = await Promise.all(this.living.map((child) => child.ending()));
    assert.deepEqual(
      endings,
      this.living.map(() => ({ code: 0, signal: null })),
    );
    assert.deepEqual(
      this.nodes.flatMap((child) => [...child.troubles, ...child.all("error")]),
      [],
    );
    assert.equal(this.nodes.map((child) => child.output).join(""), "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((child) => child[Symbol.asyncDispose]()));
    await this.#coordinator.close();
    await this.dependency[Symbol.asyncDispose]();
  }
}

/** Milliseconds between two moments of `process.hrtime.bigint()`. */
export function msBetween(fromNs: bigint, toNs: bigint): number {
  return Number(toNs - fromNs) / 1e6;
}
