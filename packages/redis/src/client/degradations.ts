import type { Degradation } from "@leasehold/core";

type Listener = (degradation: Degradation) => void;

/** Tells its listeners what weakens this backend. */
export class Degradations {
  readonly #listeners = new Set<Listener>();

  add(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  report(reason: Degradation["reason"], message: string): void {
    for (const listener of this.#listeners) listener({ reason, message });
  }
}
