export { retry } from "./retry/retry.ts";
export type { RetryCallOptions, RetryContext, RetryPolicy } from "./retry/retry.ts";
export type { RetryOptions } from "./retry/retry-options.ts";
export { retryOutcome } from "./retry/retry-outcome.ts";
export type { GivingUp, RetryOutcome } from "./retry/retry-outcome.ts";
export { constantBackoff, exponentialBackoff, noBackoff } from "./retry/backoff.ts";
export type { Backoff, BackoffStep, ExponentialBackoffOptions, Jitter } from "./retry/backoff.ts";
export { retryBudget } from "./retry/retry-budget.ts";
export type { RetryBudget, RetryBudgetOptions } from "./retry/retry-budget.ts";
export { TimeoutError } from "./base/time-limit.ts";
export type { TimeLimit } from "./base/time-limit.ts";
export { circuitBreaker } from "./circuit/circuit-breaker.ts";
export type {
  CircuitBreaker,
  CircuitBreakerOptions,
  CircuitChange,
  CircuitState,
  HalfOpenOptions,
} from "./circuit/circuit-breaker.ts";
export type { CallWindowOptions, RateOptions, WindowOptions } from "./circuit/call-window.ts";
export type { VerdictOptions } from "./circuit/verdict.ts";
export { circuitBreakers } from "./circuit/circuit-breakers.ts";
export type { CircuitBreakers, CircuitBreakersOptions } from "./circuit/circuit-breakers.ts";
export {
  BrokenCircuitError,
  isBrokenCircuitError,
  IsolatedCircuitError,
} from "./circuit/broken-circuit-error.ts";
export type { BrokenCircuitDetails } from "./circuit/broken-circuit-error.ts";
export type { CircuitEvent, RetryEvent } from "./base/events.ts";
export type {
  Failure,
  FailureEvent,
  Policy,
  PolicyContext,
  PolicyEvent,
  SuccessEvent,
} from "./base/policy.ts";
export { sharedCircuitBreaker } from "./fleet/index.ts";
export type {
  FleetEvent,
  GovernedBy,
  QuorumOptions,
  Role,
  SharedCircuitBreaker,
  SharedCircuitBreakerOptions,
  SharedState,
  Trouble,
} from "./fleet/index.ts";
