export { sharedCircuitBreaker } from "./shared-circuit-breaker.ts";
export type { GovernedBy, SharedCircuitBreaker } from "./shared-circuit-breaker.ts";
export type { SharedCircuitBreakerOptions } from "./shared-circuit-options.ts";
export type { QuorumOptions, Role } from "./quorum.ts";
export type { SharedState } from "./proclamation.ts";
export type { FleetEvent, Trouble } from "./fleet-event.ts";
