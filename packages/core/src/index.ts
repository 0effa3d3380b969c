export { createCoordinator } from "./coordinator.ts";
export type { ClaimDescription, Coordinator, CoordinatorOptions, Inspection } from "./coordinator.ts";
export type { Recipe } from "./recipes/resource.ts";
export type { AcquireOptions, RunOptions, TryAcquireOptions } from "./recipes/acquire-options.ts";
export type { Lock } from "./recipes/lock.ts";
export type { Semaphore } from "./recipes/semaphore.ts";
export type { ReadWriteLock } from "./recipes/read-write-lock.ts";
export type { CampaignOptions, Election, ElectionOptions, Leader } from "./recipes/election.ts";
export type { Leadership } from "./recipes/leadership.ts";
export type { JoinOptions, Member, Membership } from "./recipes/membership.ts";
export { assign } from "./recipes/assign.ts";
export type { Lease } from "./lease/lease.ts";
export type { ClaimOrigin, Metadata } from "./recipes/claim-value.ts";
export type { EventListener, LeaseholdEvent } from "./events.ts";
export { createFencingGuard } from "./fencing-guard.ts";
export type { FencingGuard } from "./fencing-guard.ts";
export { elapsedMs, nothingProved, sleep } from "./base/clock.ts";
export { systemClock } from "./base/system-clock.ts";
export type { Clock, Instant, Timer } from "./base/clock.ts";
export { systemRandom } from "./base/random.ts";
export type { Random } from "./base/random.ts";
export { isLeaseholdError, LeaseholdError, LeaseLostError } from "./errors.ts";
export type { ErrorCode, LeaseholdErrorOptions, LossReason } from "./errors.ts";
export type { RunPolicy } from "./base/policy.ts";
export type {
  Disposition,
  ExecutionContext,
  Idempotency,
  IdempotencyOptions,
  IdempotentResult,
  IdempotentRunOptions,
  RecordState,
} from "./idempotency/idempotency.ts";
export { fingerprintOf } from "./idempotency/fingerprint.ts";
export { resultCodec } from "./idempotency/result-codec.ts";
export type { ResultCodec } from "./idempotency/result-codec.ts";
export { isStoredFailure, StoredFailure } from "./idempotency/stored-failure.ts";

// The symbols above are for users. The symbols below are for authors of backends.

export { again, Backoff } from "./base/again.ts";
export type { Pace, Tries } from "./base/again.ts";
export { within } from "./base/within.ts";
export type { Bound } from "./base/within.ts";
export { Belief } from "./lease/belief.ts";
export type { Proof } from "./lease/belief.ts";
export { invalidArgument } from "./errors.ts";
export { staleToken } from "./fencing-guard.ts";
export { encodeName } from "./base/encode-name.ts";
export type {
  BeginReply,
  BeginRequest,
  Begun,
  ExecutionRef,
  Expired,
  ExtendReply,
  ExtendRequest,
  Finished,
  FinishReply,
  FinishRequest,
  IdempotencyStore,
  InProgress,
  Mismatch,
} from "./contract/idempotency-store.ts";
export type { Backend, Traits } from "./contract/backend.ts";
export { Health } from "./contract/health.ts";
export type { Degradation, DegradationReason, LastingReason, Restoration } from "./contract/health.ts";
export type { CallOptions, ChangeListener } from "./contract/call-options.ts";
export type {
  Acknowledged,
  AcquireRequest,
  ClaimRef,
  ClaimView,
  Evicted,
  Gone,
  Granted,
  GrantListener,
  GrantPush,
  HolderView,
  LeaseStore,
  Look,
  LookOptions,
  ProposeRequest,
  Queued,
  Refused,
  ReleaseRequest,
  Renewed,
  RenewAnswer,
  RenewRequest,
  Resource,
  ShapedResource,
  Snapshot,
  Unanswered,
} from "./contract/lease-store.ts";
