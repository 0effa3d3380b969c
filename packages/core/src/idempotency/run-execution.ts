import type { Context } from "../context.ts";
import { lossError, passesOn, type Execution } from "./execution.ts";
import { finish, type Ending } from "./finish.ts";
import type { Disposition, ExecutionContext, IdempotentResult, RecordState } from "./idempotency.ts";
import type { ResultCodec } from "./result-codec.ts";
import { describeFailure } from "./stored-failure.ts";

/** What the options of a scope say of an outcome. */
export interface OutcomeSettings {
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

/** Runs the handler, and tells the store how it ended. `close` waits for all of this. */
export async function runExecution<T>(
  context: Context,
  execution: Execution,
  settings: OutcomeSettings,
  work: Work<T>,
): Promise<IdempotentResult<T>> {
  const handling = (async () => work.handler(contextOf(context, execution, work.downstreamKey)))();
  let value: T;
  try {
    value = await handling;
  } catch (error) {
    await failed(context, execution, settings, work, error);
    const { loss } = execution;
    execution.end();
    // A handler that only passed the abort on has no error of its own. Any other error is the
    // handler's, and wins.
    throw loss !== null && passesOn(error, execution.signal) ? lossError(loss) : error;
  }
  const ending = endingOf(dispositionOf(settings.classifyResult, value), "completed", value, settings);
  const record = ending === null ? "unknown" : await finish(context, execution, ending);
  execution.end();
  if (record === "fenced") {
    work.told("fenced");
    throw lossError("fenced");
  }
  const state = record === "done" ? stateOf(ending) : record;
  work.told(state);
  const { attempt, token: fencingToken } = execution;
  return { value, replayed: false, record: state, attempt, fencingToken };
}

/** An abort of ours is no result: what the handler left undone is as unknown as after a crash. */
async function failed<T>(
  context: Context,
  execution: Execution,
  settings: OutcomeSettings,
  work: Work<T>,
  error: unknown,
): Promise<void> {
  const disposition = passesOn(error, execution.signal)
    ? "unknown"
    : dispositionOf(settings.classifyError, error);
  const ending = endingOf(disposition, "failed", describeFailure(error), settings);
  if (ending === null) return work.told("unknown");
  const record = await finish(context, execution, ending);
  work.told(record === "done" ? (disposition === "released" ? "released" : "failed") : record);
}

/**
 * What a classifier says. Unknown when it throws or answers nonsense: an effect may have happened.
 */
function dispositionOf<T>(classify: (outcome: T) => Disposition, outcome: T): Disposition {
  try {
    const disposition = classify(outcome);
    if (disposition === "stored" || disposition === "released") return disposition;
  } catch (error) {
    process.emitWarning(`A classifier of idempotent calls threw: ${String(error)}`, "LeaseholdWarning");
  }
  return "unknown";
}

/** What to tell the store. Null: nothing is told, and the lease runs out. */
function endingOf(
  disposition: Disposition,
  outcome: "completed" | "failed",
  value: unknown,
  { codec, maxResultBytes }: OutcomeSettings,
): Ending | null {
  if (disposition === "unknown") return null;
  if (disposition === "released") return { outcome: "released", body: null };
  let body: string | null = null;
  try {
    body = codec.encode(value);
    if (Buffer.byteLength(body) > maxResultBytes) body = null;
  } catch {
    // The effect has happened. That is worth storing, even if its result cannot be.
  }
  return { outcome, body };
}

/** The state of a record for which the store acknowledged this ending. */
function stateOf(ending: Ending | null): RecordState {
  if (ending?.outcome === "released") return "released";
  return ending === null || ending.body === null ? "not-stored" : "stored";
}

function contextOf(context: Context, execution: Execution, downstreamKey: string): ExecutionContext {
  return {
    signal: execution.signal,
    attempt: execution.attempt,
    fencingToken: execution.token,
    downstreamKey,
    deadline: context.clock.now().wallMs + execution.times.maxDurationMs,
    get remainingMs() {
      return execution.remainingMs;
    },
  };
}
