import { elapsedMs, LeaseholdError, within, type Clock, type Health, type Timer } from "@leasehold/core";
import { classifyError, isAnswer, isRefusal } from "./classify-error.ts";
import { isCluster, type ClusterClient, type RedisClient } from "./client.ts";
import { serverAddress, speaksTls } from "./server-address.ts";
import { isReady as saysReady, resetSocket, socketOf } from "./socket.ts";

/**
 * How long an attempt may take to become ready: TCP, TLS, the greeting and the ready check, five
 * round trips of 600 ms. A server that is frozen, or a balancer with nothing behind it, accepts
 * connections and never says a word.
 */
const ATTEMPT_MS = 3_000;

/**
 * How long a call waits once an attempt has failed. In the first second of an outage another one is
 * made within it. Whoever is willing to wait for longer asks again (core does).
 */
const PATIENCE_MS = 300;

export interface ReadinessOptions {
  readonly client: RedisClient | ClusterClient;
  readonly owned: boolean;
  readonly clock: Clock;
  readonly health: Health;
}

/**
 * Waits until a client is ready, and sees to it that a client of our own gets there: an attempt
 * that hangs is ended, so that the client dials again, after a pause with jitter. Sentinel is then
 * asked again, and the host name is resolved again.
 *
 * An attempt in which the server said no is not ready, although ioredis may say so: after a refused
 * SELECT it goes on in database 0, beside the locks of others.
 */
export class Readiness {
  readonly #options: ReadinessOptions;
  readonly #waiting = new Set<PromiseWithResolvers<void>>();
  /** What the last attempt failed with, since the client was last ready. */
  #failure: LeaseholdError | undefined;
  /** It failed by the server's own word. */
  #refused = false;
  #hasBeenReady: boolean;
  /** The server said no in the present attempt. */
  #isSpoilt = false;
  /** Runs while an attempt does. */
  #attempt: Timer | undefined;
  /** Runs from the first failed attempt on, for those who waited then. */
  #patience: Timer | undefined;
  #closed = false;

  constructor(options: ReadinessOptions) {
    this.#options = options;
    this.#hasBeenReady = saysReady(options.client);
  }

  /** Whether a request would be written now, and to where it belongs. */
  get isReady(): boolean {
    return !this.#isSpoilt && saysReady(this.#options.client);
  }

  /**
   * Resolves when the client is ready, with what is left of `timeoutMs`. Rejects with
   * `BACKEND_UNAVAILABLE`: nothing has left.
   */
  async until(timeoutMs: number): Promise<number> {
    const { client, owned, clock } = this.#options;
    if (this.#closed) throw closedError();
    if (this.isReady) return timeoutMs;
    const startedAt = clock.now();
    if (client.status === "end" && !owned) throw endedError();
    // It will not connect anew for us.
    if (this.#isSpoilt && !owned) throw this.#inVain();
    const limitMs = this.#failure === undefined ? timeoutMs : Math.min(timeoutMs, PATIENCE_MS);
    if (client.status === "wait" || client.status === "end") client.connect().catch(() => {});
    const waiter = Promise.withResolvers<void>();
    this.#waiting.add(waiter);
    try {
      await within(waiter.promise, { clock, limitMs, keepAlive: true }, () => {
        throw this.#inVain();
      });
    } finally {
      this.#waiting.delete(waiter);
    }
    return Math.max(1, timeoutMs - elapsedMs(clock, startedAt));
  }

  /** Nobody waits any longer. */
  close(): void {
    this.#closed = true;
    this.#settled();
    for (const { reject } of this.#waiting) reject(closedError());
  }

  connecting(): void {
    const { clock, owned } = this.#options;
    this.#isSpoilt = false;
    this.#attempt?.cancel();
    if (!owned || this.#closed) return;
    const startedAt = clock.now();
    this.#attempt = clock.schedule(ATTEMPT_MS, () => {
      // The event loop was blocked. What was said meanwhile has yet to be read and answered.
      if (elapsedMs(clock, startedAt) > ATTEMPT_MS * 1.5) return this.connecting();
      // Timers run before sockets are read. An immediate runs after both.
      setImmediate(() => this.#hung());
    });
  }

  ready(): void {
    const { health } = this.#options;
    if (this.#isSpoilt) return;
    this.#settled();
    this.#failure = undefined;
    this.#hasBeenReady = true;
    health.restored("unreachable");
    health.restored("refusing", this);
    if (this.isReady) for (const { resolve } of this.#waiting) resolve();
  }

  lost(): void {
    this.#isSpoilt = false;
    this.#attempt?.cancel();
  }

  /** The client will not connect by itself. One of our own does so at the next call. */
  ended(): void {
    this.#attempt?.cancel();
    if (!this.#options.owned) for (const { reject } of this.#waiting) reject(endedError());
  }

  /** The client could not connect. Where that does not mend itself, nobody waits for it. */
  failed(error: unknown): void {
    // A connection that breaks is no attempt that fails. What follows a refusal is no news.
    const { client, owned } = this.#options;
    if (client.status === "ready" || this.#isSpoilt) return;
    this.#isSpoilt = client.status === "connect" && !isCluster(client) && isAnswer(error);
    this.#fail(classifyError(error, "", serverAddress(client)), isRefusal(error));
    if (this.#isSpoilt && owned) resetSocket(client);
  }

  #hung(): void {
    const { client } = this.#options;
    if (this.#closed || client.status === "ready") return;
    const { address, hint } = this.#whereabouts();
    const message = `Redis at ${address} accepted a connection, and was not ready within ${ATTEMPT_MS} ms.${hint}`;
    this.#fail(unavailable(message), false);
    // While Sentinel is asked there is no socket yet. Its own limits end that.
    if (socketOf(client) === undefined) return this.connecting();
    resetSocket(client);
  }

  #fail(failure: LeaseholdError, refused: boolean): void {
    this.#failure = failure;
    this.#refused = refused;
    const present = [...this.#waiting];
    const rejectPresent = (): void => {
      for (const waiter of present) if (this.#waiting.has(waiter)) waiter.reject(this.#inVain());
    };
    if (failure.permanent) rejectPresent();
    else this.#patience ??= this.#options.clock.schedule(PATIENCE_MS, rejectPresent);
  }

  #settled(): void {
    this.#attempt?.cancel();
    this.#patience?.cancel();
    this.#patience = undefined;
  }

  /** The error for a call that waited in vain. Operators are told: somebody needs the store. */
  #inVain(): LeaseholdError {
    const error = this.#notReady();
    const { message } = error;
    if (this.#refused) this.#options.health.degraded({ reason: "refusing", message }, this);
    else this.#options.health.degraded({ reason: "unreachable", message });
    return error;
  }

  #notReady(): LeaseholdError {
    if (this.#failure === undefined) {
      const { address, hint } = this.#whereabouts();
      return unavailable(`Redis at ${address} did not become ready in time.${hint}`);
    }
    const { message, permanent } = this.#failure;
    return unavailable(`Redis is not connected. ${message}`, permanent);
  }

  /** A server that speaks another protocol is silent, and so is one that waits for TLS. */
  #whereabouts(): { readonly address: string; readonly hint: string } {
    const { client } = this.#options;
    const port = speaksTls(client) ? "speak TLS" : "ask for TLS (rediss://)";
    const hint = this.#hasBeenReady ? "" : ` Is it a Redis, and does its port ${port}?`;
    return { address: serverAddress(client), hint };
  }
}

export function closedError(): LeaseholdError {
  return new LeaseholdError("CLOSED", "This Redis backend is closed.");
}

/** The application has closed its client: whoever asks again gets the same answer. */
function endedError(): LeaseholdError {
  return unavailable(
    "The Redis client that this backend was given was closed by the application, or has given up to connect.",
    true,
  );
}

function unavailable(message: string, permanent = false): LeaseholdError {
  return new LeaseholdError("BACKEND_UNAVAILABLE", message, { permanent });
}
