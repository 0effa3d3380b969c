/**
 * For tests: a circuit that opens after two failures in a row, for a second; and calls that the
 * test ends.
 */
import type { Clock } from "@leasehold/core";

import { isBrokenCircuitError, type BrokenCircuitError } from "./broken-circuit-error.ts";
import type { CircuitBreaker, CircuitBreakerOptions } from "./circuit-breaker.ts";
import { circuitBreaker } from "./local-circuit-breaker.ts";

export function testCircuit(clock: Clock, options: Partial<CircuitBreakerOptions> = {}): CircuitBreaker {
  return circuitBreaker({
    name: "payments",
    window: { type: "consecutive", failures: 2 },
    openMs: 1_000,
    clock,
    ...options,
  });
}

export const failure: Error = new Error("down");
export const fail = (): Promise<never> => Promise.reject(failure);

export async function open(breaker: CircuitBreaker): Promise<void> {
  while (breaker.state === "closed") await breaker.execute(fail).catch(() => undefined);
}

/** A call under way. */
export interface Pending {
  readonly signal: AbortSignal;
  /** What it resolved or rejected with. */
  readonly ended: Promise<unknown>;
  resolve(): Promise<void>;
  reject(error?: unknown): Promise<void>;
}

export function begin(breaker: CircuitBreaker, caller?: AbortSignal): Pending {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let signal: AbortSignal | undefined;
  const ended = breaker
    .execute((context) => {
      ({ signal } = context);
      return promise;
    }, caller)
    .catch((error: unknown) => error);
  if (signal === undefined) throw new Error("It was not let through.");
  const settle = async (act: () => void): Promise<void> => {
    act();
    await ended;
  };
  return {
    signal,
    ended,
    resolve: () => settle(resolve),
    reject: (error = failure) => settle(() => reject(error)),
  };
}

/** The error with which the circuit refuses a call. */
export async function refusal(breaker: CircuitBreaker): Promise<BrokenCircuitError> {
  const error = await breaker
    .execute(() => {
      throw new Error("It was let through.");
    })
    .catch((thrown: unknown) => thrown);
  if (!isBrokenCircuitError(error)) throw error;
  return error as BrokenCircuitError;
}
