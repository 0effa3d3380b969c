import { Acquisition, type Acquirable } from "./acquisition.ts";
import { checkDuration, checkFunction, checkSignal, checkTtl } from "./arguments.ts";
import { encodeClaimValue, type Metadata } from "./claim-value.ts";
import { LeaseholdError, LeaseLostError } from "./errors.ts";
import type { HeldLease, Lease } from "./lease.ts";
import type { Session } from "./session.ts";

export interface AcquireOptions {
  /** How long the lease outlives its last renewal, in milliseconds. Default: the coordinator's (15,000). */
  readonly ttlMs?: number;
  /** How long to wait in line, in milliseconds; 0 tries once, Infinity is allowed. Default: the coordinator's (30,000). */
  readonly waitMs?: number;
  /** Ends the wait: the call rejects at once with this signal's reason. Has no say once the lease is granted. */
  readonly signal?: AbortSignal;
  /** Shown by `inspect`: a flat record of text, at most 4 KiB. */
  readonly metadata?: Metadata;
}

export type TryAcquireOptions = Pick<AcquireOptions, "ttlMs" | "metadata" | "signal">;

/** A fair lock: one holder at a time, in order of arrival. Cheap to create; holds no state of its own. */
export interface Lock {
  readonly name: string;
  /**
   * Waits in line until granted. Renewed in the background until released: hold it with `await using`, or release it in a
   * `finally`.
   *
   * Rejects with `ACQUIRE_TIMEOUT` (in line, not granted within `waitMs`), `TOO_MANY_WAITERS`, `LEASE_LOST` (the place in
   * line died: the store lost it, or this process was paused for longer than the ttl), `BACKEND_UNAVAILABLE` (nothing was
   * written), `OUTCOME_UNKNOWN` (a request went unanswered; it is being withdrawn), `INVALID_ARGUMENT`, `CLOSED`, or with
   * the reason of `signal`. However it ends without a lease, it leaves no claim behind.
   */
  acquire(options?: AcquireOptions): Promise<Lease>;
  /** One round trip; null when it is held, or waited for, elsewhere. Otherwise as `acquire`. */
  tryAcquire(options?: TryAcquireOptions): Promise<Lease | null>;
  /**
   * Acquires, runs `body`, releases once the body has settled, and answers what it returned. `lease.signal` aborts when the
   * lease is lost; the body is then awaited, and `run` rejects with `LEASE_LOST`, since what the body did after the loss
   * may have met another holder's work. An error of the body's own always comes through as it is.
   */
  run<T>(body: (lease: Lease) => T | Promise<T>, options?: AcquireOptions): Promise<T>;
}

/** What makes a lock of a claim. */
export interface LockShape {
  readonly recipe: string;
  readonly capacity: number;
  readonly weight: number;
}

export interface LockDefaults {
  readonly ttlMs: number;
  readonly waitMs: number;
  /** After how long a body that ignores its aborted signal is reported. */
  readonly graceMs: number;
}

export class LineLock implements Lock {
  readonly name: string;
  readonly #session: Session;
  readonly #shape: LockShape;
  readonly #defaults: LockDefaults;

  constructor(session: Session, name: string, shape: LockShape, defaults: LockDefaults) {
    this.name = name;
    this.#session = session;
    this.#shape = shape;
    this.#defaults = defaults;
  }

  async acquire(options: AcquireOptions = {}): Promise<Lease> {
    return this.#acquire(options);
  }

  async tryAcquire(options: TryAcquireOptions = {}): Promise<Lease | null> {
    return this.#claim({ ...options, waitMs: 0 });
  }

  async run<T>(body: (lease: Lease) => T | Promise<T>, options: AcquireOptions = {}): Promise<T> {
    checkFunction("body", body);
    const lease = await this.#acquire(options);
    const stopWatching = this.#reportStuckAfterLoss(lease);
    const work = (async () => body(lease))();
    this.#session.track(lease, work);
    let result: T;
    try {
      result = await work;
    } catch (error) {
      // Looked at before the release, which ends the lease without a loss.
      const { loss } = lease;
      await lease[Symbol.asyncDispose]();
      // A body that only passed the abort on says nothing of its own; any other error is the body's, and wins.
      throw loss !== null && isAbort(error) ? loss : error;
    } finally {
      stopWatching();
    }
    if (lease.loss !== null) {
      await lease[Symbol.asyncDispose]();
      throw lease.loss;
    }
    // The body has its result and the lease was good at this look: an unanswered release is the background's affair. But a
    // store that says "gone" had lost the claim while the body ran.
    const outcome = await lease.release().catch(() => "unknown");
    if (outcome === "gone")
      throw new LeaseLostError("gone", `The lease of ${this.#subject()} was gone when it was released.`);
    return result;
  }

  async #acquire(options: AcquireOptions): Promise<HeldLease> {
    const lease = await this.#claim(options);
    if (lease === null)
      throw new LeaseholdError("ACQUIRE_TIMEOUT", `The ${this.#subject()} is held elsewhere.`);
    return lease;
  }

  async #claim(options: AcquireOptions): Promise<HeldLease | null> {
    const session = this.#session;
    session.assertOpen();
    const { ttlMs = this.#defaults.ttlMs, waitMs = this.#defaults.waitMs } = options;
    const { traits, name: backendName } = session.backend;
    const what: Acquirable = {
      ...this.#shape,
      name: this.name,
      resource: `${session.namespace}:${this.#shape.recipe}:${this.name}`,
      ttlMs: checkTtl(ttlMs, traits, backendName),
      waitMs: checkDuration("waitMs", waitMs, { infinite: true }),
      signal: checkSignal(options.signal),
      value: encodeClaimValue(options.metadata),
    };
    what.signal?.throwIfAborted();
    session.assertRoomToWait();
    return new Acquisition(session, what).start();
  }

  /** A body that goes on after its lease was lost is the one thing the SDK cannot end: it can only be told. */
  #reportStuckAfterLoss(lease: HeldLease): () => void {
    const { graceMs } = this.#defaults;
    let cancel = (): void => {};
    const watch = (): void => {
      const timer = this.#session.clock.schedule(graceMs, () => lease.stuck(graceMs));
      cancel = () => timer.cancel();
    };
    if (lease.signal.aborted) watch();
    else lease.signal.addEventListener("abort", watch, { once: true });
    return () => {
      lease.signal.removeEventListener("abort", watch);
      cancel();
    };
  }

  #subject(): string {
    return `${this.#shape.recipe} ${JSON.stringify(this.name)}`;
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof LeaseLostError || (error instanceof Error && error.name === "AbortError");
}
