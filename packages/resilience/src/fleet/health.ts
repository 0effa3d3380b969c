import type { Trouble } from "./fleet-event.ts";

/** Remembers what is in trouble, so that an outage is told once, and its end once. */
export class Health {
  readonly #ailing = new Set<Trouble>();
  readonly #onFailed: (what: Trouble, error: Error) => void;
  readonly #onRestored: (what: Trouble) => void;

  constructor(onFailed: (what: Trouble, error: Error) => void, onRestored: (what: Trouble) => void) {
    this.#onFailed = onFailed;
    this.#onRestored = onRestored;
  }

  get isWell(): boolean {
    return this.#ailing.size === 0;
  }

  readonly failed = (what: Trouble, error: unknown): void => {
    if (this.#ailing.has(what)) return;
    this.#ailing.add(what);
    this.#onFailed(what, error instanceof Error ? error : new Error(String(error)));
  };

  readonly well = (what: Trouble): void => {
    if (this.#ailing.delete(what)) this.#onRestored(what);
  };

  /** What a look found out. */
  readonly looked = (what: Trouble, error: Error | null): void => {
    if (error === null) this.well(what);
    else this.failed(what, error);
  };
}
