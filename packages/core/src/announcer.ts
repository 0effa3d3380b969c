import { captureScope, presentScope, type Scope } from "./base/scope.ts";
import type { EventListener, LeaseholdEvent } from "./events.ts";

interface Announcement {
  readonly event: LeaseholdEvent;
  readonly scope: Scope;
}

/**
 * Tells events one at a time, in order, and never ahead of what they tell of. A listener may take
 * its time, and there may be ten thousand leases to speak of at once. So what has to be prompt is
 * done first, for all of them (`before`), and before each event somebody may look whether it has
 * grown late for something meanwhile (`onEach`).
 */
export class Announcer {
  readonly #listener: EventListener;
  readonly #queue: Announcement[] = [];
  #onEach: () => void = () => {};
  #depth = 0;

  constructor(listener: EventListener) {
    this.#listener = listener;
  }

  /**
   * Tells an event: now, unless another is being told or `before` is at work; then after that. It
   * is told in `scope`; by default in the present one.
   */
  readonly tell = (event: LeaseholdEvent, scope?: Scope): void => {
    if (this.#depth > 0) return void this.#queue.push({ event, scope: scope ?? captureScope() });
    this.#queue.push({ event, scope: scope ?? presentScope });
    this.#tellAll();
  };

  /** Whatever `work` has to tell is told when it is done. */
  before<T>(work: () => T): T {
    this.#depth += 1;
    try {
      return work();
    } finally {
      this.#depth -= 1;
      if (this.#depth === 0) this.#tellAll();
    }
  }

  /** `look` is called ahead of each event. */
  onEach(look: () => void): void {
    this.#onEach = look;
  }

  #tellAll(): void {
    if (this.#queue.length === 0) return;
    this.#depth += 1;
    // What is told meanwhile joins at the end, and is told by this loop.
    for (const { event, scope } of this.#queue) {
      this.#onEach();
      scope(() => this.#listener(event));
    }
    this.#queue.length = 0;
    this.#depth -= 1;
  }
}
