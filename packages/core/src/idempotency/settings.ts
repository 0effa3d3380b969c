import { checkCount, checkDuration, checkFunction, checkTtl } from "../base/arguments.ts";
import type { Backend } from "../contract/backend.ts";
import { invalidArgument } from "../errors.ts";
import type { ExecutionTimes } from "./execution.ts";
import type { IdempotencyOptions } from "./idempotency.ts";
import { resultCodec } from "./result-codec.ts";
import type { OutcomeSettings } from "./run-execution.ts";

/** The options of a scope: checked, and complete. */
export interface Settings extends OutcomeSettings, ExecutionTimes {
  readonly takeOver: boolean;
  readonly failOpen: boolean;
  /** 0: a call that finds another one executing rejects at once. */
  readonly waitMs: number;
}

/** Throws `INVALID_ARGUMENT` on any option out of bounds. */
export function checkOptions(
  backend: Backend,
  options: IdempotencyOptions,
  defaults: { readonly waitMs: number },
): Settings {
  const { conflict = "reject", onExpired = "retry" } = options;
  if (conflict !== "reject" && conflict !== "wait")
    throw invalidArgument('conflict must be "reject" or "wait".');
  if (onExpired !== "retry" && onExpired !== "fail")
    throw invalidArgument('onExpired must be "retry" or "fail".');
  const waitMs = checkDuration("waitMs", options.waitMs ?? defaults.waitMs, { infinite: true });
  const leaseMs = checkTtl(options.leaseMs ?? 30_000, backend.traits, backend.name, "leaseMs");
  const retentionMs = checkDuration("retentionMs", options.retentionMs ?? Math.max(86_400_000, leaseMs));
  if (retentionMs < leaseMs || !Number.isInteger(retentionMs))
    throw invalidArgument(
      `retentionMs must be a whole number, and at least leaseMs (${leaseMs}); got ${retentionMs}.`,
    );
  const { maxBodyBytes } = backend.idempotency;
  return {
    leaseMs,
    retentionMs,
    waitMs: conflict === "wait" ? waitMs : 0,
    maxDurationMs: checkDuration("maxDurationMs", options.maxDurationMs ?? 20 * leaseMs, { infinite: true }),
    maxResultBytes: checkCount("maxResultBytes", options.maxResultBytes ?? 65_536, maxBodyBytes),
    classifyError: checkFunction("classifyError", options.classifyError ?? (() => "unknown")),
    classifyResult: checkFunction("classifyResult", options.classifyResult ?? (() => "stored")),
    codec: options.codec ?? resultCodec,
    takeOver: onExpired === "retry",
    failOpen: options.failOpen === true,
  };
}
