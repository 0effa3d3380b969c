import assert from "node:assert/strict";

/**
 * The calls that one case makes, and what came of those that it does not await. A case may leave a
 * call pending for a while, and a run that is cut short leaves it for good: it is rejected when the
 * run's coordinators close, and nobody is there to hear of it. A test runner would take that for a
 * failure of the whole file.
 *
 * So every promise that a case is given goes through here. Once the case has failed, no rejection
 * is passed on: that it failed is known, and the promises stay pending. If it passes, it has to
 * have looked at every rejection.
 */
export class WatchedCalls {
  #state: "running" | "abandoned" | "ended" = "running";
  readonly #failed = new Map<Watched<unknown>, unknown>();

  /**
   * The same object, but all promises that its methods return are watched. So are those of the
   * objects that its methods, its properties and its promises lead to: locks, leases.
   */
  watch<T>(value: T): T {
    if (value instanceof Promise)
      return this.#follow(value.then((result: unknown) => this.watch(result))) as T;
    return hasMethods(value)
      ? (new Proxy(value, { get: (target, key) => this.#get(target, key) }) as T)
      : value;
  }

  /** The case has failed: nothing that it left behind says anything any more. */
  abandon(): void {
    this.#state = "abandoned";
  }

  /**
   * The case has passed, and all that it opened is closed.
   *
   * @throws AssertionError when a call failed, and the case did not look at it
   */
  end(): void {
    this.#state = "ended";
    for (const [promise, reason] of this.#failed)
      if (!promise.isHeard) assert.fail(`a call failed, and the case did not look: ${String(reason)}`);
  }

  #get(target: object, key: PropertyKey): unknown {
    const value: unknown = Reflect.get(target, key, target);
    if (typeof value !== "function") return this.watch(value);
    // On the object itself: its private fields are not the proxy's.
    return (...args: unknown[]) => this.watch(Reflect.apply(value, target, args) as unknown);
  }

  #follow<T>(promise: Promise<T>): Promise<T> {
    const watched = new Watched<T>((resolve, reject) => {
      promise.then(resolve, (reason: unknown) => {
        if (this.#state !== "abandoned") reject(reason);
      });
    });
    watched.follow = (next) => this.#follow(next);
    // This one hears of it, so that no rejection is reported before the case has ended.
    void Promise.prototype.then.call(watched, undefined, (reason: unknown) => {
      this.#failed.set(watched, reason);
      // Too late for the case to be told: the runner is.
      if (this.#state === "ended" && !watched.isHeard) void Promise.reject(reason);
    });
    return watched;
  }
}

/** A promise that knows whether somebody awaits it. What is derived from it is watched as well. */
class Watched<T> extends Promise<T> {
  /** What `then` derives is a plain promise, until it is followed. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  isHeard = false;
  follow: <R>(promise: Promise<R>) => Promise<R> = (promise) => promise;

  // oxlint-disable-next-line unicorn/no-thenable -- it is a promise
  override then<R = T, S = never>(
    onFulfilled?: ((value: T) => R | PromiseLike<R>) | null,
    onRejected?: ((reason: unknown) => S | PromiseLike<S>) | null,
  ): Promise<R | S> {
    this.isHeard = true;
    return this.follow(super.then(onFulfilled, onRejected));
  }
}

/** Data is handed out as it is, and so is what JavaScript made: signals, errors, dates, bytes. */
function hasMethods(value: unknown): value is object {
  if (Object.prototype.toString.call(value) !== "[object Object]") return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) return true;
  return Object.values(value as object).some((item) => typeof item === "function" || hasMethods(item));
}
