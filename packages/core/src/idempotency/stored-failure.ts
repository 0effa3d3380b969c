/**
 * A failure that was stored, as a later call under the same key gets it: the name, message and
 * `code` of the error that the first call threw. It has no stack, no cause and no other property of
 * that error: they belong to another process, and may say what no caller should read.
 */
export class StoredFailure extends Error {
  override readonly name: string;
  readonly code: string | number | undefined;
  /** A brand, not `instanceof`, as on `LeaseholdError`. */
  readonly "@leasehold/stored-failure": true = true;

  constructor(name: string, message: string, code: string | number | undefined) {
    super(message);
    this.name = name;
    this.code = code;
  }
}

/**
 * Whether `error` is the replayed failure of an earlier call.
 *
 * @example
 * if (isStoredFailure(error) && error.code === "card_declined") return reply.code(402).send();
 */
export function isStoredFailure(error: unknown): error is StoredFailure {
  return error instanceof Error && (error as Partial<StoredFailure>)["@leasehold/stored-failure"] === true;
}

/** In UTF-16 code units. */
const longestMessage = 4_096;

/** What is stored of an error. */
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

/** Reads it back. Throws on anything that `describeFailure` does not write. */
export function readFailure(described: unknown): StoredFailure {
  const { name, message, code } = (described ?? {}) as Record<string, unknown>;
  if (typeof name !== "string" || typeof message !== "string") throw new TypeError("not a stored failure");
  if (code !== undefined && typeof code !== "string" && typeof code !== "number")
    throw new TypeError("not a stored failure");
  return new StoredFailure(name, message, code);
}
