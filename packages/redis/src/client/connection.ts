import { elapsedMs, LeaseholdError, type Clock, type Instant, type Timer } from "@leasehold/core";
import { classifyError, verdictOf } from "./classify-error.ts";
import { isCluster, isReady, resetSocket, socketOf, unrefReconnect } from "./client.ts";
import type { ClusterClient, RedisClient, ScriptClient, Socket } from "./client.ts";
import type { Degradations } from "./degradations.ts";
import { runScript, type Script } from "../scripts/script.ts";

export interface Reply {
  readonly value: unknown;
  /** A moment before the request was first written. */
  readonly validFrom: Instant;
  /** The connection was lost meanwhile, so the client may have written the request more than once. */
  readonly resent: boolean;
}

/** How many requests are written together at most. */
const MOST_GATHERED = 8;

/**
 * One client, asked with deadlines of our own. A call is written only when the connection is ready, so that we know from when
 * its answer counts, and that a call which never left has written nothing.
 */
export class Connection implements AsyncDisposable {
  readonly client: RedisClient | ClusterClient;
  readonly #owned: boolean;
  readonly #clock: Clock;
  readonly #degradations: Degradations;
  /** Fails a call that is in flight, or waits for the connection. */
  readonly #pending = new Set<(error: LeaseholdError) => void>();
  readonly #waiting = new Set<{ look: () => void; fail: (error: LeaseholdError) => void }>();
  readonly #listeners: readonly (readonly [event: string, listener: (...args: unknown[]) => void])[];
  /** Counts the connections lost. */
  #losses = 0;
  #unreachable = false;
  #lastError: unknown;
  #closed = false;
  /** How many requests wait to be written, and the socket that holds them back. */
  #gathered = 0;
  #gathering: Socket | undefined;

  constructor(
    client: RedisClient | ClusterClient,
    options: { owned: boolean; clock: Clock; degradations: Degradations },
  ) {
    this.client = client;
    this.#owned = options.owned;
    this.#clock = options.clock;
    this.#degradations = options.degradations;
    this.#listeners = [
      ["ready", () => this.#ready()],
      ["close", () => this.#lost()],
      ["end", () => this.#ended()],
      ["error", (error: unknown) => this.#failed(error)],
      ["+node", (node: unknown) => (node as ScriptClient).on("close", this.#nodeLost)],
    ];
    for (const [event, listener] of this.#listeners) client.on(event, listener);
    if (isCluster(client)) for (const node of client.nodes()) node.on("close", this.#nodeLost);
    if (this.#owned) {
      // Calls in flight keep the process alive by their deadlines; an idle connection must not.
      client.on("connect", () => socketOf(client)?.unref());
      client.on("reconnecting", () => unrefReconnect(client));
    }
  }

  /** Sends a script. Rejects with `BACKEND_UNAVAILABLE`, `OUTCOME_UNKNOWN` or `CLOSED`. */
  call(script: Script, keys: readonly string[], args: readonly string[], timeoutMs: number): Promise<Reply> {
    if (this.#closed) return Promise.reject(closed());
    if (isReady(this.client)) return this.#send(script, keys, args, timeoutMs);
    return this.whenReady(timeoutMs).then((leftMs) => this.#send(script, keys, args, leftMs));
  }

  /** Resolves when the connection is ready, with what is left of `timeoutMs`. */
  whenReady(timeoutMs: number): Promise<number> {
    if (this.#closed) return Promise.reject(closed());
    if (isReady(this.client)) return Promise.resolve(timeoutMs);
    const start = this.#clock.now();
    const { status } = this.client;
    if (status === "wait" || (status === "end" && this.#owned)) this.client.connect().catch(() => {});
    else if (status === "end") return Promise.reject(unavailable("The Redis client was closed."));
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        timer.cancel();
        this.#waiting.delete(waiter);
      };
      const waiter = {
        look: () => {
          if (!isReady(this.client)) return;
          settle();
          resolve(Math.max(1, timeoutMs - elapsedMs(this.#clock, start)));
        },
        fail: (error: LeaseholdError) => {
          settle();
          reject(error);
        },
      };
      const late = (): void => {
        this.#reportUnreachable("Redis does not become ready.");
        waiter.fail(this.#notReady());
      };
      const timer = this.#clock.schedule(timeoutMs, late, { keepAlive: true });
      this.#waiting.add(waiter);
    });
  }

  /** Fails what is pending, and closes the client if it is our own. */
  [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    const unanswered = this.#pending.size > 0;
    for (const { fail } of this.#waiting) fail(closed());
    for (const fail of this.#pending) fail(closed());
    for (const [event, listener] of this.#listeners)
      // An 'error' that nobody hears is printed by ioredis.
      if (!this.#owned || event !== "error") this.client.off(event, listener);
    if (isCluster(this.client)) for (const node of this.client.nodes()) node.off("close", this.#nodeLost);
    if (this.#owned) {
      if (unanswered) resetSocket(this.client);
      this.client.disconnect();
      socketOf(this.client)?.destroy();
    }
    return Promise.resolve();
  }

  #send(script: Script, keys: readonly string[], args: readonly string[], timeoutMs: number): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const losses = this.#losses;
      const fail = (error: LeaseholdError): void => {
        timer.cancel();
        this.#pending.delete(fail);
        reject(error);
      };
      const giveUp = (): void => {
        this.#reportUnreachable(`Redis did not answer within ${timeoutMs} ms.`);
        fail(new LeaseholdError("OUTCOME_UNKNOWN", `Redis did not answer within ${timeoutMs} ms.`));
        // Rule R7. What else is in flight on it is answered late, too, and fails with it.
        if (this.#owned) resetSocket(this.client);
      };
      // After a blocked event loop timers run before sockets are read: the answer may be there already. An immediate runs
      // after both.
      const overdue = (): void => {
        const look = setImmediate(giveUp);
        timer = { cancel: () => clearImmediate(look) };
      };
      let timer: Timer = this.#clock.schedule(timeoutMs, overdue, { keepAlive: true });
      this.#pending.add(fail);
      const validFrom = this.#clock.now();
      this.#gather();
      // Both outcomes are handled, so an answer after the deadline is dropped in silence.
      runScript(this.client, script, keys, args).then(
        (value) => {
          timer.cancel();
          this.#pending.delete(fail);
          this.#unreachable = false;
          resolve({ value, validFrom, resent: losses !== this.#losses });
        },
        (error: unknown) => {
          const classified = classifyError(error, keys[0] ?? "");
          if (classified.code === "OUTCOME_UNKNOWN") this.#reportUnreachable(classified.message);
          if (verdictOf(error).foreign === true)
            this.#degradations.report("malformed-record", classified.message);
          fail(classified);
        },
      );
    });
  }

  /**
   * Requests sent in one turn of the event loop go out in a few writes: a system call costs more than a script. Not in a
   * single one, or the server would be idle while we collect, and we while it answers.
   */
  #gather(): void {
    if (this.#gathered > 0) {
      this.#gathered += 1;
      if (this.#gathered > MOST_GATHERED) this.#flush();
      return;
    }
    if (this.#pending.size < 2 || isCluster(this.client)) return;
    this.#gathering = socketOf(this.client);
    if (this.#gathering === undefined) return;
    this.#gathered = 1;
    this.#gathering.cork();
    process.nextTick(() => {
      this.#gathered = 0;
      this.#gathering?.uncork();
    });
  }

  /** Sends what was gathered, and begins anew with the next request. */
  #flush(): void {
    this.#gathered = 1;
    this.#gathering?.uncork();
    this.#gathering?.cork();
  }

  /** A Cluster loses the connection to one of its nodes without closing, and sends again what was in flight on it. */
  readonly #nodeLost = (): void => {
    this.#losses += 1;
  };

  #ready(): void {
    this.#unreachable = false;
    this.#lastError = undefined;
    for (const waiter of this.#waiting) waiter.look();
  }

  #lost(): void {
    this.#losses += 1;
    this.#reportUnreachable("The connection to Redis was lost.");
  }

  #ended(): void {
    if (!this.#owned) for (const { fail } of this.#waiting) fail(unavailable("The Redis client was closed."));
  }

  #failed(error: unknown): void {
    this.#lastError = error;
    if (verdictOf(error).permanent === true) for (const { fail } of this.#waiting) fail(this.#notReady());
  }

  #notReady(): LeaseholdError {
    if (this.#lastError === undefined) return unavailable("Redis did not become ready in time.");
    const { says, permanent = false } = verdictOf(this.#lastError);
    return unavailable(`Redis is not connected. ${says}`, permanent);
  }

  #reportUnreachable(message: string): void {
    if (this.#unreachable || this.#closed) return;
    this.#unreachable = true;
    this.#degradations.report("unreachable", message);
  }
}

function unavailable(message: string, permanent = false): LeaseholdError {
  return new LeaseholdError("BACKEND_UNAVAILABLE", message, { permanent });
}

function closed(): LeaseholdError {
  return new LeaseholdError("CLOSED", "This Redis backend is closed.");
}
