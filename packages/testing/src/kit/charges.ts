import type { ExecutionContext, Idempotency } from "@leasehold/core";

import type { Process, Fixture } from "./fixture.ts";

/** A handler that stands still until it is told to go on. */
export class Gate {
  readonly contexts: ExecutionContext[] = [];
  readonly #opened: PromiseWithResolvers<void> = Promise.withResolvers<void>();

  /** Goes on once the gate is open. */
  async pass(context: ExecutionContext): Promise<void> {
    this.contexts.push(context);
    await this.#opened.promise;
  }

  open(): void {
    this.#opened.resolve();
  }

  /** Resolves when so many handlers have come to it. */
  async reached(fixture: Fixture, count = 1): Promise<void> {
    await fixture.until("the handler runs", 5_000, () => this.contexts.length >= count);
  }
}

export type ChargeOptions = Parameters<Process["coordinator"]["idempotency"]>[1];

/** The scope `charges` of a process, with the shortest lease. */
export function charges(
  { coordinator }: Process,
  { ttlMs }: Fixture,
  options: ChargeOptions = {},
): Idempotency {
  return coordinator.idempotency("charges", { leaseMs: ttlMs, retentionMs: 60 * ttlMs, ...options });
}

/** What a process was told of its calls, in order. */
export const outcomes = ({ events }: Process): string[] =>
  events.flatMap((event) => (event.type === "idempotency" ? [event.outcome] : []));
