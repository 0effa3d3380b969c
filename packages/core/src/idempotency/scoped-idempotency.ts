import { createHash } from "node:crypto";

import { checkFunction, checkName, checkSignal } from "../base/arguments.ts";
import { encodeName } from "../base/encode-name.ts";
import { drawOwner } from "../base/random.ts";
import type { Context } from "../context.ts";
import type { BeginReply, BeginRequest } from "../contract/idempotency-store.ts";
import { invalidArgument, isOutage, LeaseholdError } from "../errors.ts";
import type { IdempotencyOutcome } from "../events.ts";
import { inProgress, type Admission } from "./admission.ts";
import { Execution } from "./execution.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type {
  ExecutionContext,
  Idempotency,
  IdempotencyOptions,
  IdempotentResult,
  IdempotentRunOptions,
} from "./idempotency.ts";
import { replay } from "./replay.ts";
import { runExecution } from "./run-execution.ts";
import { checkOptions, type Settings } from "./settings.ts";

/** Throws `INVALID_ARGUMENT` on any option out of bounds. */
export function createIdempotency(
  context: Context,
  admission: Admission,
  scope: string,
  options: IdempotencyOptions,
  defaults: { readonly waitMs: number },
): Idempotency {
  return new ScopedIdempotency(context, admission, scope, checkOptions(context.backend, options, defaults));
}

class ScopedIdempotency implements Idempotency {
  readonly scope: string;
  readonly #context: Context;
  readonly #admission: Admission;
  readonly #settings: Settings;

  constructor(context: Context, admission: Admission, scope: string, settings: Settings) {
    this.scope = scope;
    this.#context = context;
    this.#admission = admission;
    this.#settings = settings;
  }

  async run<T>(
    key: string,
    options: IdempotentRunOptions,
    handler: (context: ExecutionContext) => T | Promise<T>,
  ): Promise<IdempotentResult<T>> {
    this.#context.assertOpen();
    const record = this.#recordOf(checkName("key", key));
    checkFunction("handler", handler);
    // Computed once, and before the handler runs: the handler may change the payload.
    const fingerprint = fingerprintOf(options?.fingerprint);
    const { policy } = options ?? {};
    const signal = checkSignal(options?.signal);
    const attempt = (ends: AbortSignal | undefined): Promise<IdempotentResult<T>> =>
      this.#attempt({ record, fingerprint }, { signal: ends, interruptible: policy !== undefined }, handler);
    if (policy === undefined) return attempt(signal);
    if (typeof policy?.execute !== "function") throw invalidArgument("policy must have a method execute.");
    return policy.execute((context) => attempt(context.signal), signal);
  }

  async #attempt<T>(
    { record, fingerprint }: Pick<BeginRequest, "record" | "fingerprint">,
    { signal, interruptible }: { signal: AbortSignal | undefined; interruptible: boolean },
    handler: (context: ExecutionContext) => T | Promise<T>,
  ): Promise<IdempotentResult<T>> {
    signal?.throwIfAborted();
    const context = this.#context;
    context.assertOpen();
    const { leaseMs, retentionMs, takeOver, waitMs, failOpen } = this.#settings;
    const downstreamKey = hashOf(`downstream\0${record}`);
    const owner = drawOwner(context.random);
    const request = { record, owner, fingerprint, leaseMs, retentionMs, takeOver };
    let reply: BeginReply;
    try {
      reply = await this.#admission.enter(request, { waitMs, signal });
    } catch (error) {
      if (!failOpen || !isOutage(error)) throw error;
      this.#tell(record, "unprotected", 0);
      const value = await handler(unprotected(context, downstreamKey, this.#settings.maxDurationMs));
      return { value, replayed: false, record: "unprotected", attempt: 0, fencingToken: 0n };
    }
    if (reply.kind !== "begun") return this.#answer<T>(record, reply);
    const execution = new Execution(context, { record, owner }, reply, this.#settings);
    const { attempt } = reply;
    this.#tell(record, "executing", attempt);
    // With a policy the end of an attempt is the end of the work. Without one the caller's own
    // signal only ends the wait.
    const interrupt = (): void => execution.interrupt(signal?.reason);
    if (interruptible) signal?.addEventListener("abort", interrupt, { once: true });
    const told = (outcome: IdempotencyOutcome): void => this.#tell(record, outcome, attempt);
    const running = runExecution(context, execution, this.#settings, { handler, downstreamKey, told });
    context.attend(running);
    return running.finally(() => signal?.removeEventListener("abort", interrupt));
  }

  /** Answers a call that does not execute: the earlier result, or why there is none. */
  #answer<T>(record: string, reply: Exclude<BeginReply, { kind: "begun" }>): IdempotentResult<T> {
    if (reply.kind === "finished") {
      this.#tell(record, "replayed", reply.attempt);
      return replay<T>(reply, this.#settings);
    }
    this.#tell(record, reply.kind, "attempt" in reply ? reply.attempt : 0);
    if (reply.kind === "in-progress") throw inProgress(reply.remainingMs);
    if (reply.kind === "mismatch")
      throw new LeaseholdError(
        "IDEMPOTENCY_MISMATCH",
        "This idempotency key was used with another payload. Use a new key for a new request.",
      );
    throw new LeaseholdError(
      "OUTCOME_UNKNOWN",
      'An execution under this idempotency key did not finish, and what it did is not known (onExpired is "fail").',
      { permanent: true },
    );
  }

  /** Keys come from outside, and may be long or secret: the store sees only their hash. */
  #recordOf(key: string): string {
    return `${this.#context.namespace}:idempotency:${encodeName(this.scope)}/${hashOf(key)}`;
  }

  #tell(record: string, outcome: IdempotencyOutcome, attempt: number): void {
    const { scope } = this;
    this.#context.emit({ type: "idempotency", scope, record: record.slice(-64, -56), outcome, attempt });
  }
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** The context of an execution that nothing protects (`failOpen`). */
function unprotected(context: Context, downstreamKey: string, maxDurationMs: number): ExecutionContext {
  return {
    signal: context.closing,
    attempt: 0,
    fencingToken: 0n,
    downstreamKey,
    deadline: context.clock.now().wallMs + maxDurationMs,
    remainingMs: 0,
  };
}
