import {
  LeaseholdError,
  within,
  type Clock,
  type DegradationReason,
  type Health,
  type Instant,
  type Random,
} from "@leasehold/core";
import { classifyError, isAnswer, isForeign, isRefusal } from "./classify-error.ts";
import { listenTo, type ClientListener } from "./client-events.ts";
import { isCluster, runScript, type ClusterClient, type RedisClient } from "./client.ts";
import { GatheredWrites } from "./gathered-writes.ts";
import { HungNodes } from "./hung-nodes.ts";
import { Pulse } from "./pulse.ts";
import { closedError, Readiness } from "./readiness.ts";
import { Redial } from "./redial.ts";
import { Refusals } from "./refusals.ts";
import { serverAddress } from "./server-address.ts";
import { bytesReceived, resetSocket, socketOf } from "./socket.ts";
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
  readonly wrote?: ((value: T) => boolean) | undefined;
  /** Gets a reply that came after the call was given up. Default: it is dropped. */
  readonly late?: ((value: T) => void) | undefined;
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
  readonly random: Random;
  readonly health: Health;
}

/**
 * One client, asked with deadlines of our own. A call is written only when the connection is ready.
 * So we know from when its answer counts, and that a call which never left has written nothing.
 *
 * A call that is late is given up alone. A client of our own is made to connect anew when it is
 * silent (`Pulse`), does not become ready (`Readiness`), or reached the wrong server (`Redial`). A
 * client that was handed in may have commands of the application in flight, and blocking ones, so
 * it is never reset.
 */
export class Connection implements AsyncDisposable {
  readonly client: RedisClient | ClusterClient;
  readonly #options: ConnectionOptions;
  readonly #writes: GatheredWrites;
  readonly #refusals: Refusals;
  readonly #readiness: Readiness;
  readonly #pulse: Pulse;
  readonly #redial: Redial | undefined;
  readonly #hungNodes: HungNodes;
  /** Fails a call that is in flight, and that somebody waits for. */
  readonly #pending = new Set<(error: LeaseholdError) => void>();
  readonly #stopListening: () => void;
  /** Requests that no answer has come for, whether or not somebody waits for it. */
  #owed = 0;
  #replies = 0;
  /** Counts the connections lost. */
  #losses = 0;
  #closed = false;

  constructor(client: RedisClient | ClusterClient, options: ConnectionOptions) {
    const { owned, clock, random, health } = options;
    this.client = client;
    this.#options = options;
    this.#writes = new GatheredWrites(client);
    this.#refusals = new Refusals(options, isCluster(client));
    this.#readiness = new Readiness({ client, owned, clock, health });
    this.#redial = owned ? new Redial(client, clock, random) : undefined;
    this.#hungNodes = new HungNodes({ client, clock, health });
    this.#pulse = new Pulse({
      clock,
      received: () => bytesReceived(client) ?? this.#replies,
      // A client that was handed in may leave what nobody waits for unanswered for ever.
      isOwing: () => (owned ? this.#owed : this.#pending.size) > 0,
      onSilent: () => this.#silent(),
    });
    this.#stopListening = listenTo(client, this.#listener());
  }

  /**
   * Sends a script. Rejects with `BACKEND_UNAVAILABLE`, `OUTCOME_UNKNOWN` or `CLOSED`. A reply that
   * the script cannot have sent is of unknown outcome: the step itself may have been taken.
   */
  call<T>(call: Call<T>): Promise<Reply<T>> {
    if (this.#closed) return Promise.reject(closedError());
    if (this.#readiness.isReady) return this.#send(call);
    return this.whenReady(call.timeoutMs).then((timeoutMs) => this.#send({ ...call, timeoutMs }));
  }

  /** Resolves when the connection is ready, with what is left of `timeoutMs`. */
  whenReady(timeoutMs: number): Promise<number> {
    return this.#readiness.until(timeoutMs);
  }

  /**
   * The error to throw for what the client threw while `script` asked about `key`. Operators are
   * told if the server refuses, or if somebody else writes under our prefix.
   */
  explain(error: unknown, key: string, script: Script): LeaseholdError {
    const failure = classifyError(error, key, this.#address);
    if (isForeign(error)) this.#report("malformed-record", failure.message);
    if (isRefusal(error) && !this.#closed) this.#refusals.refused({ script, key }, failure);
    this.#redial?.answered(error);
    return failure;
  }

  /** Fails what is pending, and closes the client if it is our own. */
  [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    this.#readiness.close();
    this.#pulse.reset();
    this.#hungNodes.close();
    for (const fail of this.#pending) fail(closedError());
    this.#pending.clear();
    this.#stopListening();
    if (this.#options.owned) {
      if (this.#owed > 0) resetSocket(this.client);
      this.client.disconnect();
      socketOf(this.client)?.destroy();
    }
    return Promise.resolve();
  }

  async #send<T>({ script, keys, args, timeoutMs, decode, wrote, late }: Call<T>): Promise<Reply<T>> {
    const { clock } = this.#options;
    const key = keys[0] ?? "";
    const { promise, resolve, reject } = Promise.withResolvers<Reply<T>>();
    const losses = this.#losses;
    this.#pending.add(reject);
    this.#owed += 1;
    const validFrom = clock.now();
    this.#pulse.asked();
    this.#writes.add(this.#pending.size);
    // A request that is of no use any more is not sent a second time.
    runScript(this.client, script, keys, args, () => this.#pending.has(reject)).then(
      (reply) => {
        this.#owed -= 1;
        this.#replies += 1;
        this.#options.health.restored("unreachable");
        const isLate = !this.#pending.delete(reject);
        const value = decode(reply);
        if (value !== undefined && wrote?.(value) !== false) this.#refusals.served({ script, key });
        if (value === undefined) reject(this.#unreadable(key));
        else if (isLate) late?.(value);
        else resolve({ value, validFrom, resent: losses !== this.#losses });
      },
      (error: unknown) => {
        this.#owed -= 1;
        const refused = this.explain(error, key, script);
        const failure = losses === this.#losses ? refused : ofACopy(refused);
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

  /**
   * Gives this call up, and no other. What the network still holds back of it may be executed
   * later; the mark that its caller leaves takes care of that (rule R7).
   */
  #overdue(timeoutMs: number): LeaseholdError {
    const message = `Redis at ${this.#address} did not answer within ${Math.round(timeoutMs)} ms.`;
    if (this.#pulse.isSilent) this.#reportUnreachable(message);
    this.#hungNodes.overdue(timeoutMs, message);
    return new LeaseholdError("OUTCOME_UNKNOWN", message);
  }

  /** Nothing arrives. What is in flight on a connection of our own fails with it. */
  #silent(): void {
    this.#reportUnreachable(`Nothing arrives from Redis at ${this.#address}.`);
    if (this.#options.owned) resetSocket(this.client);
  }

  #unreadable(key: string): LeaseholdError {
    const message = `The reply for Redis key "${key}" is not one of Leasehold's. Is there a proxy in between?`;
    this.#report("malformed-record", message);
    return new LeaseholdError("OUTCOME_UNKNOWN", message);
  }

  /** A lost connection is told to nobody: what fails with it is, and what cannot be sent. */
  #listener(): ClientListener {
    const readiness = this.#readiness;
    return {
      connecting: () => readiness.connecting(),
      ready: () => {
        this.#pulse.reset();
        readiness.ready();
      },
      closed: () => {
        this.#losses += 1;
        readiness.lost();
      },
      ended: () => readiness.ended(),
      failed: (error) => readiness.failed(error),
      // A Cluster then sends again what was in flight on that connection.
      nodeLost: () => void (this.#losses += 1),
    };
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

/**
 * What an error proves once the connection was lost meanwhile. The client may have written the
 * request before that, too, and that copy may have been carried out: what a later one is told, by
 * a primary that was demoted since, says nothing of it.
 */
function ofACopy(failure: LeaseholdError): LeaseholdError {
  const { message, permanent } = failure;
  return new LeaseholdError("OUTCOME_UNKNOWN", message, { permanent });
}
