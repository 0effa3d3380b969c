import {
  elapsedMs,
  LeaseholdError,
  within,
  type Clock,
  type DegradationReason,
  type Health,
  type Instant,
} from "@leasehold/core";
import { classifyError, isAnswer, isForeign, isRefusal } from "./classify-error.ts";
import { isCluster, runScript, type ClusterClient, type RedisClient, type ScriptClient } from "./client.ts";
import { GatheredWrites } from "./gathered-writes.ts";
import { Refusals } from "./refusals.ts";
import { serverAddress, speaksTls } from "./server-address.ts";
import { isReady, resetSocket, socketOf, unrefReconnect } from "./socket.ts";
import type { Script } from "../scripts/script.ts";

/** One request: a script, and how its reply is read. */
export interface Call<T> {
  readonly script: Script;
  /** Errors name the first one. */
  readonly keys: readonly string[];
  readonly args: readonly string[];
  /** How long the answer may take, in milliseconds. The wait for the connection is part of it. */
  readonly timeoutMs: number;
  /** What the reply says, or undefined if the script cannot have sent it. */
  readonly decode: (reply: unknown) => T | undefined;
  /** Whether an answer proves that the server takes writes. Default: every answer does. */
  readonly wrote?: (value: T) => boolean;
}

export interface Reply<T> {
  readonly value: T;
  /** A moment before the request was first written (rule R4). */
  readonly validFrom: Instant;
  /**
   * The connection was lost meanwhile, so the client may have written the request more than once.
   */
  readonly resent: boolean;
}

export interface ConnectionOptions {
  /** Whether the client is our own: then it may be reset, and it is closed with the backend. */
  readonly owned: boolean;
  readonly clock: Clock;
  readonly health: Health;
}

/**
 * One client, asked with deadlines of our own. A call is written only when the connection is ready.
 * So we know from when its answer counts, and that a call which never left has written nothing.
 */
export class Connection implements AsyncDisposable {
  readonly client: RedisClient | ClusterClient;
  readonly #options: ConnectionOptions;
  readonly #writes: GatheredWrites;
  readonly #refusals: Refusals;
  /** Fails a call that is in flight. */
  readonly #pending = new Set<(error: LeaseholdError) => void>();
  /** Calls that wait for the connection. */
  readonly #waiting = new Set<PromiseWithResolvers<void>>();
  readonly #listeners: readonly (readonly [event: string, listener: (...args: unknown[]) => void])[];
  /** Counts the connections lost. */
  #losses = 0;
  /** What the client last failed with, since it was last ready. */
  #lastFailure: LeaseholdError | undefined;
  #hasBeenReady: boolean;
  #closed = false;

  constructor(client: RedisClient | ClusterClient, options: ConnectionOptions) {
    this.client = client;
    this.#hasBeenReady = isReady(client);
    this.#options = options;
    this.#writes = new GatheredWrites(client);
    this.#refusals = new Refusals(options, isCluster(client));
    this.#listeners = [
      ["ready", () => this.#ready()],
      ["close", () => this.#lost()],
      ["end", () => this.#ended()],
      ["error", (error: unknown) => this.#failed(error)],
      ["+node", (node: unknown) => (node as ScriptClient).on("close", this.#nodeLost)],
    ];
    for (const [event, listener] of this.#listeners) client.on(event, listener);
    if (isCluster(client)) for (const node of client.nodes()) node.on("close", this.#nodeLost);
    if (options.owned) {
      // Calls in flight keep the process alive by their deadlines. An idle connection must not.
      client.on("connect", () => socketOf(client)?.unref());
      client.on("reconnecting", () => unrefReconnect(client));
    }
  }

  /**
   * Sends a script. Rejects with `BACKEND_UNAVAILABLE`, `OUTCOME_UNKNOWN` or `CLOSED`. A reply that
   * the script cannot have sent is of unknown outcome: the step itself may have been taken.
   */
  call<T>(call: Call<T>): Promise<Reply<T>> {
    if (this.#closed) return Promise.reject(closedError());
    if (isReady(this.client)) return this.#send(call);
    return this.whenReady(call.timeoutMs).then((timeoutMs) => this.#send({ ...call, timeoutMs }));
  }

  /** Resolves when the connection is ready, with what is left of `timeoutMs`. */
  async whenReady(timeoutMs: number): Promise<number> {
    if (this.#closed) throw closedError();
    if (isReady(this.client)) return timeoutMs;
    const { clock, owned } = this.#options;
    const startedAt = clock.now();
    const { status } = this.client;
    if (status === "end" && !owned) throw unavailable("The Redis client was closed.");
    if (status === "wait" || status === "end") this.client.connect().catch(() => {});
    const waiter = Promise.withResolvers<void>();
    this.#waiting.add(waiter);
    try {
      await within(waiter.promise, { clock, limitMs: timeoutMs, keepAlive: true }, () => {
        const failure = this.#notReady();
        this.#reportUnreachable(failure.message);
        throw failure;
      });
    } finally {
      this.#waiting.delete(waiter);
    }
    return Math.max(1, timeoutMs - elapsedMs(clock, startedAt));
  }

  /**
   * The error to throw for what the client threw while `script` asked about `key`. Operators are
   * told if the server refuses, or if somebody else writes under our prefix.
   */
  explain(error: unknown, key: string, script: Script): LeaseholdError {
    const failure = classifyError(error, key, this.#address);
    if (isForeign(error)) this.#report("malformed-record", failure.message);
    if (isRefusal(error) && !this.#closed) this.#refusals.refused({ script, key }, failure);
    return failure;
  }

  /** Fails what is pending, and closes the client if it is our own. */
  [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    const { owned } = this.#options;
    const unanswered = this.#pending.size > 0;
    for (const { reject } of this.#waiting) reject(closedError());
    for (const fail of this.#pending) fail(closedError());
    this.#pending.clear();
    for (const [event, listener] of this.#listeners)
      // An 'error' that nobody hears is printed by ioredis.
      if (!owned || event !== "error") this.client.off(event, listener);
    if (isCluster(this.client)) for (const node of this.client.nodes()) node.off("close", this.#nodeLost);
    if (owned) {
      if (unanswered) resetSocket(this.client);
      this.client.disconnect();
      socketOf(this.client)?.destroy();
    }
    return Promise.resolve();
  }

  async #send<T>({ script, keys, args, timeoutMs, decode, wrote }: Call<T>): Promise<Reply<T>> {
    const { clock } = this.#options;
    const key = keys[0] ?? "";
    const { promise, resolve, reject } = Promise.withResolvers<Reply<T>>();
    const losses = this.#losses;
    this.#pending.add(reject);
    const validFrom = clock.now();
    this.#writes.add(this.#pending.size);
    // Both outcomes are handled, so an answer after the deadline is dropped in silence.
    runScript(this.client, script, keys, args).then(
      (reply) => {
        this.#options.health.restored("unreachable");
        const value = decode(reply);
        if (value !== undefined && wrote?.(value) !== false) this.#refusals.served({ script, key });
        if (!this.#pending.delete(reject)) return;
        if (value === undefined) reject(this.#unreadable(key));
        else resolve({ value, validFrom, resent: losses !== this.#losses });
      },
      (error: unknown) => {
        const failure = this.explain(error, key, script);
        if (isAnswer(error)) this.#options.health.restored("unreachable");
        else if (failure.code === "OUTCOME_UNKNOWN") this.#reportUnreachable(failure.message);
        this.#pending.delete(reject);
        reject(failure);
      },
    );
    return within(promise, { clock, limitMs: timeoutMs, keepAlive: true }, async () => {
      // After a blocked event loop timers run before sockets are read: the answer may be there
      // already. An immediate runs after both.
      await new Promise(setImmediate);
      if (this.#pending.delete(reject)) reject(this.#overdue(timeoutMs));
      return promise;
    });
  }

  /** Gives a call up. Whatever else is in flight is answered late, too, and fails with it. */
  #overdue(timeoutMs: number): LeaseholdError {
    const message = `Redis at ${this.#address} did not answer within ${Math.round(timeoutMs)} ms.`;
    this.#reportUnreachable(message);
    // Rule R7: what the network still holds back must not be executed later.
    if (this.#options.owned) resetSocket(this.client);
    return new LeaseholdError("OUTCOME_UNKNOWN", message);
  }

  #unreadable(key: string): LeaseholdError {
    const message = `The reply for Redis key "${key}" is not one of Leasehold's. Is there a proxy in between?`;
    this.#report("malformed-record", message);
    return new LeaseholdError("OUTCOME_UNKNOWN", message);
  }

  /**
   * A Cluster loses the connection to one of its nodes without closing. It then sends again what
   * was in flight on that connection.
   */
  readonly #nodeLost = (): void => {
    this.#losses += 1;
  };

  #ready(): void {
    this.#options.health.restored("unreachable");
    this.#lastFailure = undefined;
    this.#hasBeenReady = true;
    this.#refusals.connected();
    if (isReady(this.client)) for (const { resolve } of this.#waiting) resolve();
  }

  #lost(): void {
    this.#losses += 1;
    this.#reportUnreachable(`The connection to Redis at ${this.#address} was lost.`);
  }

  #ended(): void {
    if (this.#options.owned) return;
    for (const { reject } of this.#waiting) reject(unavailable("The Redis client was closed."));
  }

  /** The client could not connect. Where that does not mend itself, nobody waits for it. */
  #failed(error: unknown): void {
    this.#lastFailure = classifyError(error, "", this.#address);
    if (isRefusal(error) && !this.#closed) this.#refusals.refusedConnection(this.#lastFailure);
    if (this.#lastFailure.permanent) for (const { reject } of this.#waiting) reject(this.#notReady());
  }

  #notReady(): LeaseholdError {
    if (this.#lastFailure === undefined) {
      const port = speaksTls(this.client) ? "speak TLS" : "ask for TLS (rediss://)";
      const hint = this.#hasBeenReady ? "" : ` Is it a Redis, and does its port ${port}?`;
      return unavailable(`Redis at ${this.#address} did not become ready in time.${hint}`);
    }
    const { message, permanent } = this.#lastFailure;
    return unavailable(`Redis is not connected. ${message}`, permanent);
  }

  get #address(): string {
    return serverAddress(this.client);
  }

  #reportUnreachable(message: string): void {
    if (!this.#closed) this.#report("unreachable", message);
  }

  #report(reason: DegradationReason, message: string): void {
    this.#options.health.degraded({ reason, message });
  }
}

export function closedError(): LeaseholdError {
  return new LeaseholdError("CLOSED", "This Redis backend is closed.");
}

function unavailable(message: string, permanent = false): LeaseholdError {
  return new LeaseholdError("BACKEND_UNAVAILABLE", message, { permanent });
}
