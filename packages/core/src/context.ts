import { Announcer } from "./announcer.ts";
import type { Clock } from "./base/clock.ts";
import type { Random } from "./base/random.ts";
import { captureScope, type Scope } from "./base/scope.ts";
import type { Backend } from "./contract/backend.ts";
import { LeaseholdError } from "./errors.ts";
import type { EventListener } from "./events.ts";
import { scopedBackend } from "./scoped-backend.ts";

/** How many coordinators use each backend. The last one to leave a backend closes it. */
const users = new WeakMap<Backend, number>();

export interface ContextOptions {
  readonly backend: Backend;
  readonly namespace: string;
  readonly random: Random;
  readonly emit: EventListener;
}

/**
 * What all that one coordinator makes has in common: its store, its namespace, time and chance,
 * where events are told, and whether it is closing. A context knows no claim and no record.
 */
export class Context {
  /** The async context in which the coordinator was made: of all that belongs to no call. */
  readonly scope: Scope = captureScope();
  /** The store. What its calls set off runs in the coordinator's own async context. */
  readonly backend: Backend;
  readonly namespace: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly announcer: Announcer;
  /** Tells an event, in the present async context unless another is given. */
  readonly emit: Announcer["tell"];
  readonly #original: Backend;
  readonly #closer = new AbortController();
  readonly #attended = new Set<Promise<unknown>>();

  constructor({ backend, namespace, random, emit }: ContextOptions) {
    this.#original = backend;
    this.backend = scopedBackend(backend, this.scope);
    this.namespace = namespace;
    this.clock = backend.clock;
    this.random = random;
    this.announcer = new Announcer(emit);
    this.emit = this.announcer.tell;
    users.set(backend, (users.get(backend) ?? 0) + 1);
  }

  /** Aborts when the coordinator closes, with an error of code `CLOSED` as the reason. */
  get closing(): AbortSignal {
    return this.#closer.signal;
  }

  /** Throws `CLOSED` once the coordinator closes: nothing new begins then. */
  assertOpen(): void {
    if (this.#closer.signal.aborted)
      throw new LeaseholdError("CLOSED", "This coordinator is closed. Create another one to go on.");
  }

  /** Notes work that `close` waits for, within its grace. Its failure is its caller's affair. */
  attend(work: Promise<unknown>): void {
    const settle = (): void => void this.#attended.delete(settled);
    const settled: Promise<void> = work.then(settle, settle);
    this.#attended.add(settled);
  }

  /**
   * Resolves when no work is left: also what began meanwhile, such as another try of a release, has
   * settled. Never rejects.
   */
  async attended(): Promise<void> {
    while (this.#attended.size > 0) await Promise.all(this.#attended);
  }

  /** Nothing new begins from now on. Whatever goes on hears of it by `closing`. */
  shut(reason: LeaseholdError): void {
    this.#closer.abort(reason);
  }

  /** Gives the backend up, and closes it if no other coordinator uses it. Never rejects. */
  async leaveBackend(): Promise<void> {
    const left = (users.get(this.#original) ?? 1) - 1;
    users.set(this.#original, left);
    if (left > 0) return;
    try {
      await this.backend[Symbol.asyncDispose]();
    } catch {
      // A backend that cannot close properly must not fail a shutdown: its claims expire.
    }
  }
}
