import { elapsedMs, isLeaseholdError, LeaseholdError, within } from "@leasehold/core";
import type { Clock, Health, Instant, LeaseStore, RenewRequest } from "@leasehold/core";
import type { RedisClient } from "../client/client.ts";
import type { Connection } from "../client/connection.ts";
import { scripts } from "../scripts/script.ts";

/** How long one round waits for the replicas at most, and at least, in milliseconds. */
const LONGEST_WAIT_MS = 1_000;
const SHORTEST_WAIT_MS = 50;
/** How long the other half of a round may take: to connect, and to write. */
const WRITE_MS = 1_000;

export type Confirmation =
  /** The claim is on so many replicas, and lives from then. */
  | { readonly kind: "confirmed"; readonly validFrom: Instant }
  /** The store has no such claim any more, or an operator has evicted it. */
  | { readonly kind: "gone" }
  /** It may be on too few. `says`: how many, or why that is not known. */
  | { readonly kind: "short"; readonly says: string };

export interface ConfirmationsOptions {
  /** A connection of its own, to nobody else's disadvantage: WAIT blocks it. */
  readonly connection: Pick<Connection, "whenReady" | "explain"> & AsyncDisposable;
  /** The client of that connection. */
  readonly client: Pick<RedisClient, "wait" | "on">;
  /** Renews over that connection. */
  readonly renew: LeaseStore["renew"];
  /** How many replicas must have a claim. */
  readonly replicas: number;
  readonly clock: Clock;
  readonly health: Health;
}

interface Ask {
  readonly claim: RenewRequest;
  readonly startedAt: Instant;
  readonly limitMs: number;
  readonly answer: (confirmation: Confirmation) => void;
  /** On how many replicas it was when last asked. */
  reached?: number;
}

/**
 * Whether claims have reached so many replicas.
 *
 * `WAIT` counts the replicas that have all writes of *its own connection*. So a claim is first
 * written there: it is renewed. What the replicas have of that write they have of all before it,
 * among them the grant, whichever connection that came by. The renewal also proves that both
 * connections lead to one master: during a failover the other one may lead to the old master, which
 * has the claim, and this one to the new one, which has not.
 *
 * WAIT blocks its connection. One round confirms all claims that were asked about while the last
 * one ran, so that many grants wait no longer than two. A round is as long as the least patient of
 * them can bear. Who has time left is asked about again in the next.
 */
export class Confirmations implements AsyncDisposable {
  readonly #options: ConfirmationsOptions;
  #asks: Ask[] = [];
  #isRunning = false;
  /** Counts the connections lost. */
  #losses = 0;

  constructor(options: ConfirmationsOptions) {
    this.#options = options;
    options.client.on("close", () => (this.#losses += 1));
  }

  /** Never rejects. */
  confirm(claim: RenewRequest, limitMs: number): Promise<Confirmation> {
    const { clock } = this.#options;
    const { promise, resolve } = Promise.withResolvers<Confirmation>();
    const ask: Ask = { claim, startedAt: clock.now(), limitMs, answer: resolve };
    this.#asks.push(ask);
    if (!this.#isRunning) void this.#run();
    return within(promise, { clock, limitMs, keepAlive: true }, () => this.#tooFew(ask));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.connection[Symbol.asyncDispose]();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#asks.length > 0) {
      const asks = this.#asks;
      this.#asks = [];
      try {
        await this.#round(asks);
      } catch (error) {
        const known = isLeaseholdError(error)
          ? error
          : this.#options.connection.explain(error, "", scripts.renew);
        for (const { answer } of asks) answer({ kind: "short", says: known.message });
      }
    }
    this.#isRunning = false;
  }

  async #round(asks: readonly Ask[]): Promise<void> {
    const { connection, renew, replicas, health } = this.#options;
    const timeoutMs = await connection.whenReady(WRITE_MS);
    const losses = this.#losses;
    const answers = await renew(
      asks.map(({ claim }) => claim),
      { timeoutMs },
    );
    const left = asks.map((ask) => this.#leftMs(ask));
    const reached = answers.some(({ kind }) => kind === "renewed") ? await this.#wait(Math.min(...left)) : 0;
    // On another connection WAIT has nothing to wait for, and is content at once.
    if (losses !== this.#losses) throw new LeaseholdError("OUTCOME_UNKNOWN", "The connection was lost.");
    asks.forEach((ask, at) => {
      const answer = answers[at];
      if (answer === undefined || answer.kind === "gone" || answer.kind === "evicted")
        return ask.answer({ kind: "gone" });
      if (answer.kind === "unanswered") return ask.answer({ kind: "short", says: answer.error.message });
      ask.reached = reached;
      if (reached >= replicas) {
        health.restored("refusing", this);
        ask.answer({ kind: "confirmed", validFrom: answer.validFrom });
      } else if (this.#leftMs(ask) > 2 * SHORTEST_WAIT_MS) this.#asks.push(ask);
      else ask.answer(this.#tooFew(ask));
    });
  }

  /** How many replicas have what this connection has written, after `limitMs` at most. */
  async #wait(limitMs: number): Promise<number> {
    const { client, clock, replicas } = this.#options;
    // The answer has to come back in time, too.
    const waitMs = Math.min(LONGEST_WAIT_MS, Math.max(SHORTEST_WAIT_MS, Math.floor(limitMs * 0.8)));
    const answered = client.wait(replicas, waitMs);
    const reached = await within(answered, { clock, limitMs: waitMs + WRITE_MS }, () => {
      throw new LeaseholdError("OUTCOME_UNKNOWN", "Redis did not answer to WAIT.");
    });
    return Number(reached);
  }

  #leftMs({ startedAt, limitMs }: Ask): number {
    return limitMs - elapsedMs(this.#options.clock, startedAt);
  }

  /** The time is over. */
  #tooFew({ reached }: Ask): Confirmation {
    const { replicas, health } = this.#options;
    if (reached === undefined) return { kind: "short", says: "The replicas were not asked in time." };
    const says = `It reached ${reached} of ${replicas} replicas.`;
    health.degraded({ reason: "refusing", message: `A grant was withdrawn. ${says}` }, this);
    return { kind: "short", says };
  }
}
