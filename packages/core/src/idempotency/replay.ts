import type { Finished } from "../contract/idempotency-store.ts";
import { LeaseholdError } from "../errors.ts";
import type { IdempotentResult } from "./idempotency.ts";
import type { ResultCodec } from "./result-codec.ts";
import { readFailure, type StoredFailure } from "./stored-failure.ts";

/**
 * The result of an earlier call, from what the store keeps of it. A failure is thrown, as a
 * `StoredFailure`. What was stored is untrusted text: whatever cannot be read as a result throws
 * `BACKEND_UNAVAILABLE`, permanent.
 */
export function replay<T>(
  { outcome, body, token, attempt }: Finished,
  { codec, maxResultBytes }: { readonly codec: ResultCodec; readonly maxResultBytes: number },
): IdempotentResult<T> {
  if (body === null)
    throw new LeaseholdError(
      "IDEMPOTENCY_RESULT_UNAVAILABLE",
      "Executed already under this idempotency key. Its result was too large, or of a kind that cannot be stored.",
    );
  let value: T;
  let failure: StoredFailure | null = null;
  try {
    // Another process may have a higher limit, but not so much higher.
    if (body.length > 16 * maxResultBytes + 65_536) throw new RangeError(`${body.length} characters`);
    const decoded = codec.decode(body);
    if (outcome === "failed") failure = readFailure(decoded);
    value = decoded as T;
  } catch (error) {
    const why = error instanceof Error ? error.message.slice(0, 100) : "";
    throw new LeaseholdError(
      "BACKEND_UNAVAILABLE",
      `The stored result under this idempotency key cannot be read: ${why}.`,
      { permanent: true },
    );
  }
  if (failure !== null) throw failure;
  return { value, replayed: true, record: "stored", attempt, fencingToken: token };
}
