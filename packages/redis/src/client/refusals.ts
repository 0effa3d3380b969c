import { elapsedMs, type Clock, type Health, type Instant, type LeaseholdError } from "@leasehold/core";
import { scripts, type Script } from "../scripts/script.ts";

/** What was asked. */
interface Question {
  readonly script: Script;
  readonly key: string;
}

interface Refusal extends Question {
  readonly permanent: boolean;
  readonly at: Instant;
}

/** After how long without a refusal any key of a Cluster is proof, in milliseconds. */
const QUIET_MS = 10_000;

/**
 * Tells operators when the server answers by refusing: once, and once more when that is over.
 *
 * It is over when the server does what it refused. A server out of memory goes on to renew and to
 * release while it refuses what is new, and an access list may refuse one step alone. So the proof
 * is that the very step that was refused succeeds, or, where the state of the server was in the
 * way and not a right, that something new begins. The nodes of a Cluster are in a state of their
 * own each: there the proof must be of the same key, or come after a while without a refusal.
 */
export class Refusals {
  readonly #clock: Clock;
  readonly #health: Health;
  readonly #inCluster: boolean;
  #last: Refusal | undefined;

  constructor({ clock, health }: { clock: Clock; health: Health }, inCluster: boolean) {
    this.#clock = clock;
    this.#health = health;
    this.#inCluster = inCluster;
  }

  refused({ script, key }: Question, { message, permanent }: LeaseholdError): void {
    this.#last = { script, key, permanent, at: this.#clock.now() };
    this.#health.degraded({ reason: "refusing", message }, this);
  }

  /** A step was taken that wrote something, or that does not write. */
  served({ script, key }: Question): void {
    const last = this.#last;
    if (last === undefined) return;
    const isNew = script === scripts.acquire || script === scripts.begin;
    const isProof = script === last.script || (isNew && !last.permanent);
    const isNear = !this.#inCluster || key === last.key || elapsedMs(this.#clock, last.at) > QUIET_MS;
    if (!isProof || !isNear) return;
    this.#last = undefined;
    this.#health.restored("refusing", this);
  }
}
