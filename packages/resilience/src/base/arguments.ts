import { invalidArgument } from "@leasehold/core";

/** Shows a bad argument without repeating a megabyte of it. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

export function checkOptions<T>(what: string, value: T): T {
  if (typeof value !== "object" || value === null)
    throw invalidArgument(`${what} must be an object; got ${show(value)}.`);
  return value;
}

export function checkText(what: string, value: unknown): string {
  if (typeof value !== "string" || value === "" || value.length > 512)
    throw invalidArgument(`${what} must be a string of 1 to 512 characters; got ${show(value)}.`);
  return value;
}

export interface Bounds {
  readonly above?: number;
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly below?: number;
  readonly whole?: boolean;
  readonly infinite?: boolean;
}

/** A number within bounds; the message names all of them. */
export function checkNumber(what: string, value: unknown, bounds: Bounds): number {
  const { above = -Infinity, atLeast = -Infinity, atMost = Infinity, below, whole, infinite } = bounds;
  if (
    typeof value === "number" &&
    value > above &&
    value >= atLeast &&
    value <= atMost &&
    (below === undefined || value < below) &&
    (value === Infinity ? infinite === true : whole !== true || Number.isInteger(value))
  )
    return value;
  const rules = [
    above > -Infinity && `above ${above}`,
    atLeast > -Infinity && `at least ${atLeast}`,
    atMost < Infinity && `at most ${atMost}`,
    below !== undefined && `below ${below}`,
  ].filter((rule) => rule !== false);
  const kind = `a ${whole === true ? "whole" : "finite"} number`;
  const allowed = rules.length === 0 ? kind : `${kind} ${rules.join(" and ")}`;
  throw invalidArgument(
    `${what} must be ${allowed}${infinite === true ? ", or Infinity" : ""}; got ${show(value)}.`,
  );
}

/** A duration may be 0 and, where an endless wait makes sense, Infinity. */
export function checkDuration(what: string, value: unknown, options: { infinite?: boolean } = {}): number {
  return checkNumber(what, value, { atLeast: 0, ...options });
}

export function checkFunction<T>(what: string, value: T): T {
  if (typeof value !== "function") throw invalidArgument(`${what} must be a function; got ${show(value)}.`);
  return value;
}

export function checkOptionalFunction<T>(what: string, value: T): T {
  return value === undefined ? value : checkFunction(what, value);
}
