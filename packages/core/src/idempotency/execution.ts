import { elapsedMs, type Instant, type Timer } from "../base/clock.ts";
import { onAbort } from "../base/on-abort.ts";
import { captureScope, type Scope } from "../base/scope.ts";
import type { Context } from "../context.ts";
import type { Begun, ExecutionRef } from "../contract/idempotency-store.ts";
import { isLeaseholdError, LeaseholdError, LeaseLostError } from "../errors.ts";
import { Belief, renewalRetryMs, renewalTimeoutMs } from "../lease/belief.ts";

export interface ExecutionTimes {
  readonly leaseMs: number;
  readonly retentionMs: number;
  readonly maxDurationMs: number;
}

/** What ended an execution before its handler did. */
export type ExecutionLoss = "expired" | "fenced" | "missing" | "overtime";

/**
 * One execution under a key, while its handler runs. It extends its lease every third of it. It
 * aborts its signal when it may no longer be believed, by the local clocks: before the store lets
 * another take over. Lost belief is not regained, as for a lease. But a result that comes late is
 * offered to the store all the same, which takes it unless another has taken over.
 */
export class Execution {
  readonly token: bigint;
  readonly attempt: number;
  readonly ref: ExecutionRef;
  readonly times: ExecutionTimes;
  readonly #context: Context;
  /** The async context of the call: whoever aborts, those who listen hear it in theirs. */
  readonly #scope: Scope = captureScope();
  readonly #aborter = new AbortController();
  readonly #startedAt: Instant;
  readonly #belief: Belief;
  #dueMs: number;
  #timer: Timer | null = null;
  #stopListening: () => void = () => {};
  #asking = false;
  #loss: ExecutionLoss | null = null;
  #ended = false;

  constructor(context: Context, ref: ExecutionRef, begun: Begun, times: ExecutionTimes) {
    const { clock, closing } = context;
    this.#context = context;
    this.ref = ref;
    this.times = times;
    this.token = begun.token;
    this.attempt = begun.attempt;
    this.#belief = new Belief(clock, { validFrom: begun.validFrom, ttlMs: begun.leaseMs });
    this.#startedAt = clock.now();
    this.#dueMs = this.#belief.dueMs;
    if (closing.aborted) this.#closing();
    else this.#stopListening = onAbort(closing, this.#closing);
    this.#arm();
  }

  get signal(): AbortSignal {
    return this.#aborter.signal;
  }

  /** Milliseconds until it may no longer be believed, unless it is extended; 0 when it is lost. */
  get remainingMs(): number {
    if (this.#loss !== null) return 0;
    return Math.max(0, Math.min(this.#belief.remainingMs, this.#overtimeInMs));
  }

  /** Why it is no longer believed; null while it is. Looks at the clocks first. */
  get loss(): ExecutionLoss | null {
    if (this.#loss === null && !this.#ended && this.remainingMs <= 0)
      this.#lose(this.#overtimeInMs <= 0 ? "overtime" : "expired");
    return this.#loss;
  }

  /** Asks the handler to stop: the coordinator closes, a policy gives up. No loss by itself. */
  interrupt(reason: unknown): void {
    this.#scope(() => this.#aborter.abort(reason));
  }

  /** Stops extending: the handler has settled, and its outcome was told or never will be. */
  end(): void {
    this.#ended = true;
    this.#timer?.cancel();
    this.#stopListening();
  }

  readonly #closing = (): void => this.interrupt(this.#context.closing.reason);

  get #overtimeInMs(): number {
    return this.times.maxDurationMs - elapsedMs(this.#context.clock, this.#startedAt);
  }

  #arm(): void {
    this.#timer?.cancel();
    if (this.#ended || this.#loss !== null) return;
    const { clock } = this.#context;
    const dueInMs = this.#asking ? Infinity : this.#dueMs - clock.now().monoMs;
    this.#timer = clock.schedule(Math.max(1, Math.min(this.remainingMs, dueInMs)), () => this.#tick());
  }

  #tick(): void {
    // At the deadline only an answer on its way could save the execution. It is too late to wait
    // for that.
    if (this.loss !== null) return;
    if (!this.#asking && this.#context.clock.now().monoMs >= this.#dueMs) void this.#extend();
    this.#arm();
  }

  async #extend(): Promise<void> {
    this.#asking = true;
    const { backend, clock } = this.#context;
    const { leaseMs, retentionMs } = this.times;
    try {
      const reply = await backend.idempotency.extend({
        ...this.ref,
        ...{ token: this.token, leaseMs, retentionMs },
        timeoutMs: renewalTimeoutMs(leaseMs),
      });
      if (reply.kind !== "extended") this.#lose(reply.kind);
      else this.#belief.extend({ validFrom: reply.validFrom, ttlMs: reply.leaseMs });
      this.#dueMs = this.#belief.dueMs;
    } catch {
      this.#dueMs = clock.now().monoMs + renewalRetryMs(leaseMs);
    } finally {
      this.#asking = false;
      this.#arm();
    }
  }

  #lose(loss: ExecutionLoss): void {
    if (this.#loss !== null || this.#ended) return;
    this.#loss = loss;
    this.#timer?.cancel();
    this.interrupt(lossError(loss));
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
