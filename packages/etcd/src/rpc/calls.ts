import { within, type Clock, type Health, type Instant } from "@leasehold/core";
import type { CallOptions } from "@grpc/grpc-js";
import type { Etcd3, IResponseHeader } from "etcd3";
import { AuthToken } from "./auth-token.ts";
import { Deadline } from "./deadline.ts";
import type { Endpoint, Endpoints } from "./endpoints.ts";
import type { EtcdSource } from "../options.ts";
import { RpcAttempt } from "./attempt.ts";
import { classify, isRefusal, RpcFailure } from "./failure.ts";
import { Lane } from "./lane.ts";
import { ownWords } from "./own-words.ts";
import { standingOf, type Standing } from "./standing.ts";

/** A request through etcd3's raw layer; `options` must be passed on to it. */
export type Request<T> = (client: Etcd3, options: CallOptions) => Promise<T>;

export interface UnaryOptions {
  /**
   * An etcd that takes no writes would not have carried it out. A read, and a deletion, prove
   * nothing of that.
   */
  readonly puts?: boolean;
  /**
   * Behind which others it waits. `renewals`: it keeps something alive, and waits behind its like
   * only. `ends`: so does what ends something; else ten thousand that begin would keep those that
   * are done from saying so. `none`: it leaves at once; for what all share, one for each lease.
   */
  readonly turn?: "ordinary" | "renewals" | "ends" | "none";
}

export interface CallsOptions {
  readonly clock: Clock;
  readonly health: Health;
  readonly auth?: EtcdSource["auth"] | undefined;
  /** A key that this user may read, there or not. */
  readonly probe: Buffer;
}

/**
 * How long a call still waits on a connection that was given up: a server whose disk is slow may be
 * silent for a moment.
 */
const lastChanceMs = 700;

/**
 * How many requests of each lane are under way at once. An etcd beside us answers some two thousand
 * a second, so that many take an eighth of a second; one that is 50 ms away is kept busy by them.
 */
const atOnce = 256;

/** How long one request for a token may take. */
const authenticateMs = 5_000;

/**
 * Every request to etcd goes through here: each has a deadline of ours, leaves at most once, and
 * fails with an `RpcFailure` that says what is known of it. Only a request that surely did nothing
 * is tried again, on the next member.
 */
export class Calls {
  readonly clock: Clock;
  readonly endpoints: Endpoints;
  readonly health: Health;
  readonly #token: AuthToken | undefined;
  readonly #running = new Set<(failure: RpcFailure) => void>();
  readonly #lanes: Readonly<Record<"ordinary" | "renewals" | "ends", Lane>>;
  readonly #probe: Buffer;
  #standing: Standing | undefined;
  #closed = false;

  constructor(endpoints: Endpoints, { clock, health, auth, probe }: CallsOptions) {
    this.endpoints = endpoints;
    this.clock = clock;
    this.health = health;
    this.#probe = probe;
    const lane = (): Lane => new Lane(clock, atOnce);
    this.#lanes = { ordinary: lane(), renewals: lane(), ends: lane() };
    if (auth !== undefined) this.#token = new AuthToken(auth);
  }

  /** Who answered last, and in which term; undefined before the first answer. */
  get standing(): Standing | undefined {
    return this.#standing;
  }

  /** A linearizable read of nothing: who answers, in a term that a quorum confirms. */
  async readStanding(timeoutMs: number): Promise<Standing> {
    const { header } = await this.unary(
      ({ kv }, options) => kv.range({ key: this.#probe, count_only: true }, options),
      timeoutMs,
      { turn: "none" },
    );
    return standingOf(header);
  }

  now(): Instant {
    return this.clock.now();
  }

  /** One request. Rejects with an `RpcFailure` within `timeoutMs`, the wait for its turn included. */
  unary<T>(request: Request<T>, timeoutMs: number, options: UnaryOptions = {}): Promise<T> {
    const { puts = false, turn = "ordinary" } = options;
    const deadline = new Deadline(this.clock, timeoutMs);
    const work = (): Promise<T> => this.#unary(request, deadline, puts);
    return turn === "none" ? work() : this.#lanes[turn].run(deadline, work);
  }

  async #unary<T>(request: Request<T>, deadline: Deadline, puts: boolean): Promise<T> {
    let membersLeft = this.endpoints.size;
    let tokensLeft = 1;
    for (;;) {
      const endpoint = this.endpoints.current;
      try {
        const answer = await this.#tryOnce(request, deadline, membersLeft);
        this.health.restored("unreachable");
        const { header } = answer as { readonly header?: IResponseHeader };
        if (header) this.#standing = standingOf(header);
        if (puts) this.health.restored("refusing");
        return answer;
      } catch (error) {
        if (!(error instanceof RpcFailure)) throw error;
        const hopeless = this.#closed || deadline.leftMs <= 0;
        if (error.kind === "token" && tokensLeft-- > 0 && !hopeless) continue;
        // Its connection was given up before it left: it goes out on the new one.
        if (error.kind === "unsent" && !hopeless && !this.endpoints.has(endpoint)) continue;
        if (error.kind === "unsent" && --membersLeft > 0 && !hopeless) continue;
        if (error.kind === "unsent" || error.kind === "unanswered")
          this.health.degraded({ reason: "unreachable", message: `etcd: ${error.message}` });
        else if (error.kind !== "closed") this.health.restored("unreachable");
        if (isRefusal(error))
          this.health.degraded({ reason: "refusing", message: `etcd refuses: ${error.message}` });
        throw error;
      }
    }
  }

  /** The token to send with a stream, and who to send it to. */
  async forStream(timeoutMs: number): Promise<{ endpoint: Endpoint; token: string | undefined }> {
    if (this.#closed) throw new RpcFailure("closed", "closed");
    const token = await this.#currentToken(new Deadline(this.clock, timeoutMs));
    return { endpoint: this.endpoints.current, token };
  }

  /** Somebody waits in vain: the connection is given up if nothing at all comes on it. */
  suspect(): void {
    const endpoint = this.endpoints.current;
    // What has arrived while our own loop was late is read first.
    this.clock.schedule(0, () => {
      if (!endpoint.pulse.hasStopped) return;
      this.endpoints.moveOn(endpoint);
      this.endpoints.replace(endpoint);
    });
  }

  /** A stream's token was not accepted: the next one gets a new token. */
  forgetToken(token: string | undefined): void {
    this.#token?.forget(token);
  }

  /** Fails every request that is under way, and all to come, with `closed`. */
  close(): void {
    this.#closed = true;
    const closed = new RpcFailure("closed", "closed");
    for (const lane of Object.values(this.#lanes)) lane.close(closed);
    for (const stop of this.#running) stop(closed);
  }

  async #tryOnce<T>(request: Request<T>, deadline: Deadline, membersLeft: number): Promise<T> {
    const token = await this.#currentToken(deadline);
    // Several members: one that cannot even be connected to must leave time for the others.
    return this.#send(request, token, deadline.leftMs, deadline.leftMs / Math.max(1, membersLeft));
  }

  async #currentToken(deadline: Deadline): Promise<string | undefined> {
    const token = this.#token?.get((login) =>
      this.#send((client, options) => client.auth.authenticate(login, options), undefined, authenticateMs),
    );
    // One request serves all who need a token: each waits for it within a deadline of its own.
    if (token === undefined) return undefined;
    const leftMs = Math.round(deadline.leftMs);
    return within(token, { clock: this.clock, limitMs: leftMs }, () => {
      throw new RpcFailure("unsent", `no token within ${leftMs} ms`);
    });
  }

  #send<T>(
    request: Request<T>,
    token: string | undefined,
    timeoutMs: number,
    connectMs: number = timeoutMs,
  ): Promise<T> {
    if (this.#closed) return Promise.reject(new RpcFailure("closed", "closed"));
    const endpoint = this.endpoints.current;
    const { pulse } = endpoint;
    const attempt = new RpcAttempt(token, this.endpoints.ours, () => pulse.asked());
    const deadline = new Deadline(this.clock, timeoutMs);
    return new Promise<T>((resolve, reject) => {
      const end = (): void => {
        timer.cancel();
        stopListening();
        this.#running.delete(stop);
      };
      const stop = (failure: RpcFailure): void => {
        end();
        attempt.abandon();
        reject(failure);
      };
      const giveUp = (): void => {
        this.endpoints.moveOn(endpoint);
        if (!attempt.sent)
          return stop(
            new RpcFailure("unsent", `no connection to ${endpoint.host} within ${Math.round(connectMs)} ms`),
          );
        if (pulse.hasStopped) this.endpoints.replace(endpoint);
        stop(new RpcFailure("unanswered", `${endpoint.host} gave no answer in time`));
      };
      // When our own loop was late, timers run before what has arrived meanwhile is read. So that
      // is read first.
      const tooLate = (): void => void (timer = this.clock.schedule(0, giveUp));
      const notConnected = (): void => {
        if (attempt.sent && timeoutMs > connectMs) timer = this.clock.schedule(deadline.leftMs, tooLate);
        else tooLate();
      };
      let timer = this.clock.schedule(connectMs, notConnected);
      const stopListening = this.endpoints.onReplaced((replaced) => {
        if (replaced !== endpoint) return;
        const { heardAt } = pulse;
        timer.cancel();
        timer = this.clock.schedule(Math.min(deadline.leftMs, lastChanceMs), () => {
          // It was not dead after all: an answer may still come on it.
          if (pulse.heardAt === heardAt) return tooLate();
          timer = this.clock.schedule(deadline.leftMs, tooLate);
        });
      });
      this.#running.add(stop);
      request(endpoint.client, attempt.callOptions).then(
        (answer) => {
          end();
          pulse.heard();
          resolve(answer);
        },
        (error: unknown) => {
          end();
          const { code, details } = attempt.status ?? { code: 2, details: String(error) };
          let kind = classify({ code, details }, attempt.sent);
          // Authentication was enabled after "not enabled": without a token, nothing is permitted.
          if (kind === "denied" && token === "") kind = "token";
          if (kind === "token") this.#token?.forget(token);
          if (kind === "unsent" || kind === "unanswered") this.endpoints.moveOn(endpoint);
          else pulse.heard();
          reject(new RpcFailure(kind, `${endpoint.host}: ${ownWords(details)}`));
        },
      );
    });
  }
}
