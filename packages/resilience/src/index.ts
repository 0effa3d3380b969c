export { retry } from "./retry.ts";
export type { RetryCallOptions, RetryContext, RetryPolicy } from "./retry.ts";
export type { RetryOptions } from "./retry-options.ts";
export { retryOutcome } from "./retry-outcome.ts";
export type { GivingUp, RetryOutcome } from "./retry-outcome.ts";
export { constantBackoff, exponentialBackoff, noBackoff } from "./backoff.ts";
export type { Backoff, BackoffStep, ExponentialBackoffOptions, Jitter } from "./backoff.ts";
export { retryBudget } from "./retry-budget.ts";
export type { RetryBudget, RetryBudgetOptions } from "./retry-budget.ts";
export { TimeoutError } from "./time-limit.ts";
export type { TimeLimit } from "./time-limit.ts";
export { circuitBreaker } from "./circuit-breaker.ts";
export type {
  CircuitBreaker,
  CircuitBreakerOptions,
  CircuitChange,
  CircuitState,
  HalfOpenOptions,
} from "./circuit-breaker.ts";
export type { CallWindowOptions, RateOptions, WindowOptions } from "./call-window.ts";
export type { VerdictOptions } from "./verdict.ts";
export { circuitBreakers } from "./circuit-breakers.ts";
export type { CircuitBreakers, CircuitBreakersOptions } from "./circuit-breakers.ts";
export { BrokenCircuitError, isBrokenCircuitError, IsolatedCircuitError } from "./broken-circuit-error.ts";
export type { BrokenCircuitDetails } from "./broken-circuit-error.ts";
export type { CircuitEvent, RetryEvent } from "./events.ts";
export type { Failure, FailureEvent, Policy, PolicyContext, PolicyEvent, SuccessEvent } from "./policy.ts";
export { sharedCircuitBreaker } from "./shared/index.ts";
export type {
  FleetEvent,
  GovernedBy,
  QuorumOptions,
  Role,
  SharedCircuitBreaker,
  SharedCircuitBreakerOptions,
  SharedState,
  Trouble,
} from "./shared/index.ts";
