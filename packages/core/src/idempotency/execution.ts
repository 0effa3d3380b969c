import { driftMarginMs } from "../lease/claim.ts";
import { elapsedMs, type Instant, type Timer } from "../base/clock.ts";
import { LeaseholdError, LeaseLostError, isLeaseholdError } from "../errors.ts";
import { renewalTimeoutMs } from "../lease/renewal-loop.ts";
import type { Session } from "../lease/session.ts";
import type { Begun, ExecutionRef } from "../contract/idempotency-store.ts";

export interface ExecutionTimes {
  readonly leaseMs: number;
  readonly retentionMs: number;
  readonly maxDurationMs: number;
}

/** What ended an execution before its handler did. */
export type ExecutionLoss = "expired" | "fenced" | "missing" | "overtime";

/**
 * One execution under a key, while its handler runs: extends its lease every third of it, and aborts its signal when it may
 * no longer be believed, by the local clocks, before the store lets another take over. As of a lease, belief lost is not
 * regained; but a result that comes late is offered to the store all the same, which takes it unless somebody has taken over.
 */
export class Execution {
  readonly token: bigint;
  readonly attempt: number;
  readonly ref: ExecutionRef;
  readonly times: ExecutionTimes;
  readonly #session: Session;
  readonly #aborter = new AbortController();
  readonly #startedAt: Instant;
  readonly #stopListening: () => void;
  #validFrom: Instant;
  #leaseMs: number;
  #dueMs: number;
  #timer: Timer | null = null;
  #asking = false;
  #loss: ExecutionLoss | null = null;
  #ended = false;

  constructor(session: Session, ref: ExecutionRef, begun: Begun, times: ExecutionTimes) {
    this.#session = session;
    this.ref = ref;
    this.times = times;
    this.token = begun.token;
    this.attempt = begun.attempt;
    this.#validFrom = begun.validFrom;
    this.#leaseMs = begun.leaseMs;
    this.#startedAt = session.clock.now();
    this.#dueMs = this.#nextDueMs();
    const closing = (): void => this.interrupt(session.closing.reason);
    session.closing.addEventListener("abort", closing, { once: true });
    if (session.closing.aborted) closing();
    this.#stopListening = () => session.closing.removeEventListener("abort", closing);
    this.#arm();
  }

  get signal(): AbortSignal {
    return this.#aborter.signal;
  }

  /** Milliseconds until nobody may rely on this execution any more, unless it is extended; 0 when it is lost. */
  get remainingMs(): number {
    if (this.#loss !== null) return 0;
    const leaseMs =
      this.#leaseMs - driftMarginMs(this.#leaseMs) - elapsedMs(this.#session.clock, this.#validFrom);
    return Math.max(0, Math.min(leaseMs, this.#overtimeInMs));
  }

  /** Why it is no longer believed, if so; looks first. */
  get loss(): ExecutionLoss | null {
    if (this.#loss === null && !this.#ended && this.remainingMs <= 0)
      this.#lose(this.#overtimeInMs <= 0 ? "overtime" : "expired");
    return this.#loss;
  }

  /** Asks the handler to stop: the coordinator closes, a policy gives up. The execution is not lost by that. */
  interrupt(reason: unknown): void {
    this.#aborter.abort(reason);
  }

  /** The handler has settled and its outcome was told, or is not going to be: nothing is extended from now on. */
  end(): void {
    this.#ended = true;
    this.#timer?.cancel();
    this.#stopListening();
  }

  get #overtimeInMs(): number {
    return this.times.maxDurationMs - elapsedMs(this.#session.clock, this.#startedAt);
  }

  #nextDueMs(): number {
    const nowMs = this.#session.clock.now().monoMs;
    // On a shared lease an execution may be born old: due at once, but never in a tight loop.
    return Math.max(this.#validFrom.monoMs + this.#leaseMs / 3, nowMs + 15);
  }

  #arm(): void {
    this.#timer?.cancel();
    if (this.#ended || this.#loss !== null) return;
    const { clock } = this.#session;
    const dueInMs = this.#asking ? Infinity : this.#dueMs - clock.now().monoMs;
    this.#timer = clock.schedule(Math.max(1, Math.min(this.remainingMs, dueInMs)), () => this.#tick());
  }

  #tick(): void {
    // An answer on its way is the only thing that can save an execution at its deadline, and it is too late to wait for it.
    if (this.loss !== null) return;
    if (!this.#asking && this.#session.clock.now().monoMs >= this.#dueMs) void this.#extend();
    this.#arm();
  }

  async #extend(): Promise<void> {
    this.#asking = true;
    const { leaseMs, retentionMs } = this.times;
    const { idempotency } = this.#session.backend;
    const timeoutMs = renewalTimeoutMs(leaseMs);
    try {
      const reply = await idempotency.extend({
        ...this.ref,
        ...{ token: this.token, leaseMs, retentionMs, timeoutMs },
      });
      if (reply.kind !== "extended") this.#lose(reply.kind);
      else if (reply.validFrom.monoMs > this.#validFrom.monoMs) {
        this.#validFrom = reply.validFrom;
        this.#leaseMs = reply.leaseMs;
      }
      this.#dueMs = this.#nextDueMs();
    } catch {
      // Three tries end before the deadline, as of a renewal.
      this.#dueMs = this.#session.clock.now().monoMs + leaseMs / 12;
    } finally {
      this.#asking = false;
      this.#arm();
    }
  }

  #lose(loss: ExecutionLoss): void {
    if (this.#loss !== null || this.#ended) return;
    this.#loss = loss;
    this.#timer?.cancel();
    this.#aborter.abort(lossError(loss));
  }
}

const whyLost: Readonly<Record<ExecutionLoss, string>> = {
  expired:
    "could not be extended before its lease ended: the store did not answer, or this process was paused or blocked",
  fenced: "was taken over by another",
  missing: "is gone from the store, which has lost its record: another may execute again",
  overtime: "has run for maxDurationMs, and is no longer extended",
};

export function lossError(loss: ExecutionLoss): LeaseholdError {
  const message = `The execution under this idempotency key ${whyLost[loss]}.`;
  if (loss === "fenced") return new LeaseholdError("IDEMPOTENCY_FENCED", message);
  return new LeaseLostError(loss === "missing" ? "gone" : "expired", message);
}

/** Whether an error only passes on that the execution's signal aborted. */
export function passesOn(error: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false;
  return (
    error === signal.reason ||
    isLeaseholdError(error) ||
    (error instanceof Error && error.name === "AbortError")
  );
}
