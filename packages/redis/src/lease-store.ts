import { nothingProved } from "@leasehold/core";
import type {
  AcquireRequest,
  CallOptions,
  ChangeListener,
  ClaimRef,
  Granted,
  GrantListener,
  LeaseStore,
  ProposeRequest,
  Queued,
  Refused,
  ReleaseRequest,
  RenewAnswer,
  RenewRequest,
  Resource,
  Snapshot,
} from "@leasehold/core";
import type { Changes } from "./pushes/changes.ts";
import type { Connection } from "./client/connection.ts";
import { decodeFlag, decodeSnapshot, decodeStanding } from "./scripts/decode-reply.ts";
import type { Degradations } from "./client/degradations.ts";
import type { GrantPushes } from "./pushes/grants.ts";
import { markKey, ticketDigits, type ResourceKeys } from "./scripts/keys.ts";
import { renewClaims } from "./scripts/renew-claims.ts";
import { scripts, type Script } from "./scripts/script.ts";
import { unreadableReply } from "./scripts/unreadable-reply.ts";

export interface LeaseStoreOptions {
  readonly connection: Connection;
  readonly pushes: GrantPushes;
  readonly changes: Changes;
  readonly degradations: Degradations;
  readonly keysOf: (resource: string) => ResourceKeys;
  readonly ticketTtlMs: number;
  readonly maxBatch: number;
}

/** The last argument of a script that may change something. Absent, it costs the server nothing. */
function announcement({ changes }: ResourceKeys, { announce }: Resource): string[] {
  return announce ? [changes] : [];
}

/** The lease store on Redis: one script for each call of the contract. */
export class RedisLeaseStore implements LeaseStore {
  readonly #options: LeaseStoreOptions;

  constructor(options: LeaseStoreOptions) {
    this.#options = options;
  }

  async acquire(request: AcquireRequest): Promise<Granted | Queued | Refused> {
    const { connection, keysOf, pushes, ticketTtlMs } = this.#options;
    const { resource, owner, ttlMs, weight, queue, value, maxWaiters } = request;
    // A grant can be published as soon as the claim is in the line, so its channel must be heard before that.
    const timeoutMs = queue && !pushes.isOpen ? await this.#openPushes(request.timeoutMs) : request.timeoutMs;
    const keys = keysOf(resource.name);
    const reply = await connection.call(
      scripts.acquire,
      [keys.base, keys.line, keys.expiry, markKey(keys, owner)],
      [
        owner,
        String(ttlMs),
        String(Math.max(ticketTtlMs, ttlMs + 1001)),
        `${ttlMs} ${weight} ${resource.capacity} ${pushes.channel} ${value}`,
        queue ? String(maxWaiters) : "-",
        ...announcement(keys, resource),
      ],
      timeoutMs,
    );
    const standing = decodeStanding(reply.value) ?? this.#unreadable(keys.base);
    if (standing.kind === "refused") return standing;
    const { isProof, ...place } = standing;
    const acknowledged = { ...place, ttlMs, validFrom: isProof ? reply.validFrom : nothingProved };
    return reply.resent ? { ...acknowledged, resent: true } : acknowledged;
  }

  renew(requests: readonly RenewRequest[], options: CallOptions): Promise<RenewAnswer[]> {
    return renewClaims(requests, { ...this.#options, timeoutMs: options.timeoutMs });
  }

  async release(request: ReleaseRequest): Promise<boolean> {
    const keys = this.#options.keysOf(request.resource.name);
    const reply = await this.#options.connection.call(
      scripts.release,
      [keys.base, keys.line, keys.expiry, markKey(keys, request.owner)],
      [request.owner, String(request.departedForMs ?? 0), ...announcement(keys, request.resource)],
      request.timeoutMs,
    );
    const removed = decodeFlag(reply.value) ?? this.#unreadable(keys.base);
    // The client wrote it again after a reset: if the last copy found nothing, an earlier one may have removed the claim,
    // and "gone" would tell its holder of a loss that never was.
    return removed || reply.resent;
  }

  propose(request: ProposeRequest): Promise<boolean> {
    const { owner, ticket, value, sequence } = request;
    return this.#askWhether(scripts.propose, request, [owner, ticketDigits(ticket), String(sequence), value]);
  }

  evict(request: ClaimRef & CallOptions): Promise<boolean> {
    return this.#askWhether(scripts.evict, request, [request.owner]);
  }

  async inspect(resource: string, { timeoutMs }: CallOptions): Promise<Snapshot> {
    const { base, line, expiry } = this.#options.keysOf(resource);
    const reply = await this.#options.connection.call(scripts.inspect, [base, line, expiry], [], timeoutMs);
    return decodeSnapshot(reply.value) ?? this.#unreadable(base);
  }

  onGrant(listener: GrantListener): () => void {
    return this.#options.pushes.add(listener);
  }

  watch(resource: string, listener: ChangeListener): () => void {
    return this.#options.changes.watch(this.#options.keysOf(resource).changes, listener);
  }

  async #askWhether(
    script: Script,
    request: ClaimRef & CallOptions,
    args: readonly string[],
  ): Promise<boolean> {
    const { connection, keysOf } = this.#options;
    const keys = keysOf(request.resource.name);
    const { base, line, expiry } = keys;
    const all = [...args, ...announcement(keys, request.resource)];
    const reply = await connection.call(script, [base, line, expiry], all, request.timeoutMs);
    return decodeFlag(reply.value) ?? this.#unreadable(base);
  }

  /** Waits for the subscription with half the time at most: an acquire that is not pushed is better than none. */
  async #openPushes(timeoutMs: number): Promise<number> {
    const { connection, pushes } = this.#options;
    const leftMs = await connection.whenReady(timeoutMs);
    const spentMs = await pushes.open(leftMs / 2);
    return Math.max(1, leftMs - spentMs);
  }

  #unreadable(key: string): never {
    return unreadableReply(key, this.#options.degradations);
  }
}
