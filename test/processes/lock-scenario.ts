import { randomUUID } from "node:crypto";

import { Child } from "./child.ts";
import type { StoreSpec } from "./store-spec.ts";
import type { PauseArgs } from "./worker-pause.ts";

/** Processes around one name, with a guarded number in the same store. */
export class LockScenario implements AsyncDisposable {
  readonly #args: PauseArgs;
  readonly #children: Child[] = [];

  constructor(store: StoreSpec, ttlMs: number) {
    this.#args = { store, namespace: `pause-${randomUUID()}`, ttlMs };
  }

  /** A process that holds, and `waiters` behind it in this order. */
  async holderAndLine<N extends 1 | 2>(
    waiters: N,
  ): Promise<N extends 1 ? [Child, Child] : [Child, Child, Child]>;
  async holderAndLine(waiters: number): Promise<Child[]> {
    const children = Array.from({ length: waiters + 1 }, () => new Child("worker-pause.ts", this.#args));
    this.#children.push(...children);
    await Promise.all(children.map((child) => child.heard("ready")));
    for (const [index, child] of children.entries()) {
      child.tell("acquire");
      await child.heard(index === 0 ? "claimed" : "queued");
    }
    return children;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map((child) => child[Symbol.asyncDispose]()));
  }
}
