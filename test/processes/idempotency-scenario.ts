import { randomUUID } from "node:crypto";

import { Child, type Message } from "./child.ts";
import { FencedResource } from "./fenced-resource.ts";
import type { Calls, IdempotencyWorkerArgs } from "./idempotency-worker.ts";
import type { StoreSpec } from "./store-spec.ts";

/**
 * Processes that make calls under idempotency keys, and the resource that their handlers write to.
 */
export class IdempotencyScenario implements AsyncDisposable {
  readonly resource: FencedResource;
  readonly workers: readonly Child[];

  private constructor(resource: FencedResource, workers: readonly Child[]) {
    this.resource = resource;
    this.workers = workers;
  }

  static async open(
    store: StoreSpec,
    { workers, leaseMs }: { workers: number; leaseMs: number },
  ): Promise<IdempotencyScenario> {
    const resource = await FencedResource.listen();
    const namespace = `idempotency-${randomUUID()}`;
    const args: IdempotencyWorkerArgs = { store, namespace, leaseMs, port: resource.port };
    const children = Array.from({ length: workers }, () => new Child("idempotency-worker.ts", args));
    await Promise.all(children.map((child) => child.heard("ready")));
    return new IdempotencyScenario(resource, children);
  }

  /** Makes a call, and answers with how it ended. */
  async call(worker: Child, calls: Calls): Promise<Message> {
    worker.tell(calls);
    return worker.heard("ended");
  }

  /** The writes that the resource accepted, by attempt. */
  get effects(): bigint[] {
    return this.resource.attempts.filter(({ accepted }) => accepted).map(({ token }) => token);
  }

  /** Ends those that still run; answers with what none of them should have said. */
  async finish(): Promise<unknown[]> {
    const running = this.workers.filter((worker) => worker.endedAtNs === null);
    for (const worker of running) worker.tell("stop");
    const endings = await Promise.all(running.map((worker) => worker.ending()));
    return [
      ...endings.filter(({ code }) => code !== 0),
      ...this.workers.flatMap(({ troubles }) => troubles),
      ...this.workers.map(({ output }) => output).filter((output) => output !== ""),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker[Symbol.asyncDispose]()));
    await this.resource[Symbol.asyncDispose]();
  }
}
