import { channel } from "node:diagnostics_channel";

import { checkFunction } from "./arguments.ts";
import type { PolicyEvent } from "./policy.ts";

/** Calls a listener. One that throws must not change what a policy does, and must not be silent either. */
export function tell<T>(listener: (event: T) => void, event: T): void {
  try {
    listener(event);
  } catch (error) {
    process.emitWarning(`A listener of a Leasehold policy threw: ${String(error)}`, "LeaseholdWarning");
  }
}

/** Those who listen to one thing. */
export class Listeners<T> {
  readonly #entries = new Set<{ readonly listener: (event: T) => void }>();

  /** Whether anybody listens: an event that nobody wants need not be made. */
  get any(): boolean {
    return this.#entries.size > 0;
  }

  /** In the form that cockatiel knows. */
  readonly event: PolicyEvent<T> = (listener) => ({ dispose: this.add(listener) });

  add(listener: (event: T) => void): () => void {
    checkFunction("listener", listener);
    // An entry of its own: the same function added twice is told twice, and taken away once by each.
    const entry = { listener };
    this.#entries.add(entry);
    return () => void this.#entries.delete(entry);
  }

  tell(event: T): void {
    for (const { listener } of [...this.#entries]) tell(listener, event);
  }
}

/** One function that tells the typed callback of the options, and the diagnostics channel. */
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
