/**
 * A failure that was stored, as a later call under the same key gets it: name, message and `code` of the error that the first
 * one threw. No stack, no cause, no other property: they were of another process, and may say what no caller should read.
 */
export class StoredFailure extends Error {
  override readonly name: string;
  readonly code: string | number | undefined;
  /** A brand rather than `instanceof`, as on `LeaseholdError`. */
  readonly "@leasehold/stored-failure": true = true;

  constructor(name: string, message: string, code: string | number | undefined) {
    super(message);
    this.name = name;
    this.code = code;
  }
}

/** Whether `error` is a failure of an earlier call, replayed. */
export function isStoredFailure(error: unknown): error is StoredFailure {
  return error instanceof Error && (error as Partial<StoredFailure>)["@leasehold/stored-failure"] === true;
}

const longestMessage = 4_096;

/** What is kept of an error. */
export function describeFailure(error: unknown): object {
  if (!(error instanceof Error))
    return { name: "Error", message: String(error).slice(0, longestMessage), code: undefined };
  const { code } = error as { code?: unknown };
  return {
    name: error.name,
    message: error.message.slice(0, longestMessage),
    code: typeof code === "string" || typeof code === "number" ? code : undefined,
  };
}

/** Throws on anything that `describeFailure` did not write. */
export function readFailure(described: unknown): StoredFailure {
  const { name, message, code } = (described ?? {}) as Record<string, unknown>;
  if (typeof name !== "string" || typeof message !== "string") throw new TypeError("not a stored failure");
  if (code !== undefined && typeof code !== "string" && typeof code !== "number")
    throw new TypeError("not a stored failure");
  return new StoredFailure(name, message, code);
}
