import type { Clock } from "../base/clock.ts";
import type { ChangeListener } from "../contract/call-options.ts";
import { LeaseholdError } from "../errors.ts";
import type { MemoryStore } from "./store.ts";

/** One backend's way to its store: what a connection is to a server. */
export class MemoryLink {
  readonly clock: Clock;
  readonly #store: MemoryStore;
  readonly #ends = new Set<() => void>();
  #closed = false;

  constructor(store: MemoryStore, clock: Clock) {
    this.#store = store;
    this.clock = clock;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The store. Throws `CLOSED` after `close`. */
  get store(): MemoryStore {
    if (this.#closed) throw new LeaseholdError("CLOSED", "This memory backend is closed.");
    return this.#store;
  }

  watch(name: string, listener: ChangeListener): () => void {
    const stop = this.store.watch(name, listener);
    const end = (): void => {
      this.#ends.delete(end);
      stop();
    };
    this.#ends.add(end);
    return end;
  }

  close(): void {
    this.#closed = true;
    for (const end of this.#ends) end();
  }
}
