export { createCoordinator } from "./coordinator.ts";
export type { ClaimDescription, Coordinator, CoordinatorOptions, Inspection, Recipe } from "./coordinator.ts";
export type { AcquireOptions, RunOptions, TryAcquireOptions } from "./line-resource.ts";
export type { Lock } from "./lock.ts";
export type { Semaphore } from "./semaphore.ts";
export type { ReadWriteLock } from "./read-write-lock.ts";
export type { CampaignOptions, Election, ElectionOptions, Leader } from "./election.ts";
export type { Leadership } from "./leadership.ts";
export type { JoinOptions, Member, Membership } from "./membership.ts";
export { assign } from "./assign.ts";
export type { Lease } from "./lease.ts";
export type { ClaimOrigin, Metadata } from "./claim-value.ts";
export type { EventListener, LeaseholdEvent } from "./events.ts";
export { createFencingGuard } from "./fencing-guard.ts";
export type { FencingGuard } from "./fencing-guard.ts";
export { elapsedMs, nothingProved, sleep, systemClock } from "./clock.ts";
export type { Clock, Instant, Timer } from "./clock.ts";
export { systemRandom } from "./random.ts";
export type { Random } from "./random.ts";
export { isLeaseholdError, LeaseholdError, LeaseLostError } from "./errors.ts";
export type { ErrorCode, LeaseholdErrorOptions, LossReason } from "./errors.ts";
export type { RunPolicy } from "./policy.ts";
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

// Symbols above are for users. Symbols below are for authors of backends.

export { invalidArgument } from "./errors.ts";
export { staleToken } from "./fencing-guard.ts";
export { ChangeFeed } from "./change-feed.ts";
export { encodeName } from "./encode-name.ts";
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
} from "./idempotency/idempotency-store.ts";
export type {
  Acknowledged,
  AcquireRequest,
  Backend,
  CallOptions,
  ClaimRef,
  ClaimView,
  Degradation,
  Evicted,
  Gone,
  Granted,
  GrantListener,
  GrantPush,
  LeaseStore,
  ProposeRequest,
  Queued,
  Refused,
  ReleaseRequest,
  Renewed,
  RenewAnswer,
  RenewRequest,
  Snapshot,
  Traits,
  Unanswered,
} from "./backend.ts";
