import { elapsedMs, type Clock, type ExecutionRef, type Instant } from "@leasehold/core";
import type { SharedLease } from "../leases/shared-lease.ts";
import type { Place } from "./seen-record.ts";

/** What the store has acknowledged of an execution, and what its end has to write again. */
export interface Begun {
  readonly token: bigint;
  readonly attempt: number;
  readonly fingerprint: string;
}

/** What this process knows of one execution: one owner of one record. */
export interface Execution extends ExecutionRef, Place {
  readonly leaseMs: number;
  /** How many of its requests are under way. */
  pending: number;
  /** A begin of it was not answered: it may be in the store, now or later. */
  doubtful: boolean;
  begun: Begun | undefined;
  /** The shared lease that its owner's key is, or may be, on. */
  lease: SharedLease | undefined;
  /** The lease that its record is on; undefined: not known to this process. */
  retention: SharedLease | undefined;
  /** When it was last begun or extended, or asked to be. */
  askedAt: Instant;
  /**
   * Whether a deletion of its owner's key, by this process, may be under way: then seeing the key
   * proves nothing, and only writing it anew makes it stay, since a deletion names the revision
   * that it is for. So it is until the key was written.
   */
  keyInDoubt: boolean;
}

/**
 * Whether nobody has asked for the execution for longer than its lease. Then whoever began it has
 * stopped believing in it, or has been told to; that other keys keep its lease alive must not keep
 * its record from others.
 *
 * `askedAt` is set anew with each answer, and no lease was refreshed after the answer that told of it. So this is never
 * true before the validity that was told has passed.
 */
export function hasLapsed({ pending, leaseMs, askedAt }: Execution, clock: Clock): boolean {
  return pending === 0 && elapsedMs(clock, askedAt) > leaseMs;
}
