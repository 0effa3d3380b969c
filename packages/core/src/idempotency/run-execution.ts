import { elapsedMs, sleep, type Instant } from "../base/clock.ts";
import { isOutage } from "./is-outage.ts";
import type { Session } from "../lease/session.ts";
import { lossError, passesOn, type Execution } from "./execution.ts";
import type { Disposition, ExecutionContext, IdempotentResult, RecordState } from "./idempotency.ts";
import type { FinishReply, FinishRequest } from "../contract/idempotency-store.ts";
import type { ResultCodec } from "./result-codec.ts";
import { describeFailure } from "./stored-failure.ts";

export interface Settings {
  readonly leaseMs: number;
  readonly retentionMs: number;
  readonly maxDurationMs: number;
  readonly maxResultBytes: number;
  readonly codec: ResultCodec;
  readonly classifyError: (error: unknown) => Disposition;
  readonly classifyResult: (value: unknown) => Disposition;
}

export interface Work<T> {
  readonly handler: (context: ExecutionContext) => T | Promise<T>;
  readonly downstreamKey: string;
  /** Hears what became of the record. */
  readonly told: (outcome: RecordState | "failed" | "fenced") => void;
}

const finishTimeoutMs = 2_000;
/** How long an unanswered end is told again, at least: a lease may be shorter than an outage that could be sat out. */
const finishForMs = 5_000;

type Ending = Pick<FinishRequest, "outcome" | "body">;

/** Runs the handler, and tells the store how it ended. `close` waits for all of it. `body`: what was stored; `since`: from before it was. */
export async function runExecution<T>(
  session: Session,
  execution: Execution,
  settings: Settings,
  work: Work<T>,
): Promise<{ result: IdempotentResult<T>; body: string | null; since: Instant }> {
  const handling = (async () => work.handler(contextOf(session, execution, work.downstreamKey)))();
  let value: T;
  try {
    value = await handling;
  } catch (error) {
    await failed(session, execution, settings, work, error);
    const { loss } = execution;
    execution.end();
    // A handler that only passed the abort on says nothing of its own; any other error is the handler's, and wins.
    throw loss !== null && passesOn(error, execution.signal) ? lossError(loss) : error;
  }
  const since = session.clock.now();
  const disposition = dispositionOf(settings.classifyResult, value);
  const ending = endingOf(disposition, "completed", value, settings);
  const body = ending?.body ?? null;
  const record = ending === null ? "unknown" : await tell(session, execution, settings, ending);
  execution.end();
  if (record === "fenced") {
    work.told("fenced");
    throw lossError("fenced");
  }
  const state =
    record === "done"
      ? disposition === "released"
        ? "released"
        : body === null
          ? "not-stored"
          : "stored"
      : record;
  work.told(state);
  const { attempt, token: fencingToken } = execution;
  return { result: { value, replayed: false, record: state, attempt, fencingToken }, body, since };
}

/** An abort of ours is nobody's result: whatever the handler left undone is as unknown as after a crash. */
async function failed<T>(
  session: Session,
  execution: Execution,
  settings: Settings,
  work: Work<T>,
  error: unknown,
): Promise<void> {
  const disposition = passesOn(error, execution.signal)
    ? "unknown"
    : dispositionOf(settings.classifyError, error);
  const ending = endingOf(disposition, "failed", describeFailure(error), settings);
  if (ending === null) return work.told("unknown");
  const record = await tell(session, execution, settings, ending);
  work.told(record === "done" ? (disposition === "released" ? "released" : "failed") : record);
}

/** A classifier that throws, or answers nonsense, must not lose an effect that may have happened. */
function dispositionOf<T>(classify: (outcome: T) => Disposition, outcome: T): Disposition {
  try {
    const disposition = classify(outcome);
    if (disposition === "stored" || disposition === "released") return disposition;
  } catch (error) {
    process.emitWarning(`A classifier of idempotent calls threw: ${String(error)}`, "LeaseholdWarning");
  }
  return "unknown";
}

/** Null: nothing is told, and the lease runs out. */
function endingOf(
  disposition: Disposition,
  outcome: "completed" | "failed",
  value: unknown,
  { codec, maxResultBytes }: Settings,
): Ending | null {
  if (disposition === "unknown") return null;
  if (disposition === "released") return { outcome: "released", body: null };
  let body: string | null = null;
  try {
    body = codec.encode(value);
    if (Buffer.byteLength(body) > maxResultBytes) body = null;
  } catch {
    // The effect has happened: that it did is worth storing, even if its result cannot be.
  }
  return { outcome, body };
}

/**
 * Tells the store, again while the answer is lost: the same owner and token get the same answer. The execution is extended
 * meanwhile, so nobody takes over for as long as there is hope.
 */
async function tell(
  session: Session,
  { ref, token }: Execution,
  { leaseMs, retentionMs }: Settings,
  ending: Ending,
): Promise<FinishReply | "unconfirmed"> {
  const { clock, backend, random } = session;
  const startedAt = clock.now();
  const request = { ...ref, token, ...ending, retentionMs, timeoutMs: finishTimeoutMs };
  for (let delayMs = 25; ; delayMs = Math.min(2 * delayMs, 500)) {
    try {
      return await backend.idempotency.finish(request);
    } catch (error) {
      if (!isOutage(error) || elapsedMs(clock, startedAt) + delayMs > Math.max(leaseMs, finishForMs))
        return "unconfirmed";
    }
    await sleep(clock, delayMs * (0.5 + random.fraction()), undefined, { keepAlive: true });
  }
}

function contextOf(session: Session, execution: Execution, downstreamKey: string): ExecutionContext {
  return {
    signal: execution.signal,
    attempt: execution.attempt,
    fencingToken: execution.token,
    downstreamKey,
    deadline: session.clock.now().wallMs + execution.times.maxDurationMs,
    get remainingMs() {
      return execution.remainingMs;
    },
  };
}
