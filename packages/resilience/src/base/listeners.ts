import { channel } from "node:diagnostics_channel";

import { checkFunction } from "./arguments.ts";
import type { PolicyEvent } from "./policy.ts";

/**
 * Calls a listener. Its error must not change what a policy does: it becomes a process warning, and
 * so does the rejection of an `async` one.
 */
export function tell<T>(listener: (event: T) => void, event: T): void {
  try {
    const result = listener(event) as unknown;
    if (result instanceof Promise) result.catch(warn);
  } catch (error) {
    warn(error);
  }
}

function warn(error: unknown): void {
  process.emitWarning(`A listener of a Leasehold policy threw: ${String(error)}`, "LeaseholdWarning");
}

/** The listeners of one event. */
export class Listeners<T> {
  readonly #entries = new Set<{ readonly listener: (event: T) => void }>();

  /** Whether anybody listens. An event that nobody wants need not be made. */
  get any(): boolean {
    return this.#entries.size > 0;
  }

  /** In the form that cockatiel knows. */
  readonly event: PolicyEvent<T> = (listener) => ({ dispose: this.add(listener) });

  add(listener: (event: T) => void): () => void {
    checkFunction("listener", listener);
    // An entry of its own: a function that was added twice is called twice, and removed once each.
    const entry = { listener };
    this.#entries.add(entry);
    return () => void this.#entries.delete(entry);
  }

  tell(event: T): void {
    for (const { listener } of [...this.#entries]) tell(listener, event);
  }
}

/** Returns a function that tells both the callback of the options and the diagnostics channel. */
export function eventSink<T>(
  channelName: "leasehold:retry" | "leasehold:circuit",
  listener: ((event: T) => void) | undefined,
): (event: T) => void {
  const published = channel(channelName);
  return (event) => {
    if (published.hasSubscribers) published.publish(event);
    if (listener !== undefined) tell(listener, event);
  };
}
