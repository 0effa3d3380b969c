import { invalidArgument } from "../errors.ts";

/** Longest name, in bytes of UTF-8. */
export const maxNameBytes = 512;

/** Largest stored value of a claim (metadata included), in bytes of UTF-8. */
export const maxValueBytes = 4096;

/** Shows a bad argument, cut short: it may be a megabyte long. */
function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

export function checkName(what: string, name: unknown): string {
  if (typeof name !== "string" || name === "")
    throw invalidArgument(`${what} must be a non-empty string; got ${show(name)}.`);
  const bytes = Buffer.byteLength(name);
  if (bytes > maxNameBytes)
    throw invalidArgument(
      `${what} must be at most ${maxNameBytes} bytes; got ${bytes}. Hash long names first.`,
    );
  return name;
}

/** A namespace is part of keys and of access rules. Its small alphabet needs no escaping. */
export function checkNamespace(namespace: unknown): string {
  if (typeof namespace !== "string" || !/^[A-Za-z0-9._-]{1,64}$/.test(namespace))
    throw invalidArgument(
      `namespace must be 1 to 64 letters, digits, dots, underscores or dashes; got ${show(namespace)}.`,
    );
  return namespace;
}

/** What a store demands of ttls, in milliseconds. */
interface TtlBounds {
  readonly minTtlMs: number;
  readonly ttlStepMs: number;
}

export function checkTtl(ttlMs: unknown, traits: TtlBounds, backend: string, what: string = "ttlMs"): number {
  if (typeof ttlMs !== "number" || !Number.isInteger(ttlMs) || ttlMs <= 0 || ttlMs > 2 ** 31 - 1)
    throw invalidArgument(
      `${what} must be a whole number of milliseconds from 1 to 2147483647; got ${show(ttlMs)}.`,
    );
  if (ttlMs < traits.minTtlMs)
    throw invalidArgument(
      `${what} must be at least ${traits.minTtlMs} on the ${backend} backend; got ${ttlMs}.`,
    );
  if (ttlMs % traits.ttlStepMs !== 0)
    throw invalidArgument(
      `${what} must be a multiple of ${traits.ttlStepMs} on the ${backend} backend; got ${ttlMs}.`,
    );
  return ttlMs;
}

/** A text for others to read. Its length is checked when the whole claim is encoded. */
export function checkValue(value: unknown): string {
  if (typeof value !== "string") throw invalidArgument(`value must be a string; got ${show(value)}.`);
  return value;
}

/** A duration in milliseconds, 0 or more. Infinity only where waiting for ever makes sense. */
export function checkDuration(what: string, value: unknown, options: { infinite?: boolean } = {}): number {
  const infinite = options.infinite === true;
  if (typeof value !== "number" || Number.isNaN(value) || value < 0 || (value === Infinity && !infinite))
    throw invalidArgument(
      `${what} must be 0 or more milliseconds${infinite ? ", or Infinity" : ""}; got ${show(value)}.`,
    );
  return value;
}

export function checkCount(what: string, value: unknown, max: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 1 || value > max)
    throw invalidArgument(`${what} must be a whole number from 1 to ${max}; got ${show(value)}.`);
  return value;
}

export function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw invalidArgument(`signal must be an AbortSignal; got ${show(signal)}.`);
  return signal;
}

export function checkFunction<T>(what: string, value: T): T {
  if (typeof value !== "function") throw invalidArgument(`${what} must be a function; got ${show(value)}.`);
  return value;
}
