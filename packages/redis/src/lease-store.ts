import { nothingProved } from "@leasehold/core";
import type {
  AcquireRequest,
  CallOptions,
  ChangeListener,
  ClaimRef,
  Granted,
  GrantListener,
  LeaseStore,
  Look,
  LookOptions,
  ProposeRequest,
  Queued,
  Refused,
  ReleaseRequest,
  RenewAnswer,
  RenewRequest,
  Resource,
  Snapshot,
} from "@leasehold/core";
import { isCluster } from "./client/client.ts";
import type { Connection } from "./client/connection.ts";
import type { LineCalls } from "./client/line-calls.ts";
import type { Changes } from "./pushes/changes.ts";
import type { GrantPushes } from "./pushes/grants.ts";
import {
  decodeFlag,
  decodeLook,
  decodeRenewals,
  decodeSnapshot,
  decodeStanding,
  type Renewal,
} from "./scripts/decode-reply.ts";
import { ticketDigits, type ResourceKeys } from "./scripts/keys.ts";
import { scripts, type Script } from "./scripts/script.ts";

/** How long the release of a claim that nobody wants may take. */
const TAKE_BACK_MS = 5_000;
/** How long its mark stays at least. */
const SHORTEST_MARK_MS = 60_000;

export interface LeaseStoreOptions {
  readonly connection: Connection;
  readonly calls: LineCalls;
  readonly pushes: GrantPushes;
  readonly changes: Changes;
  readonly keysOf: (resource: string) => ResourceKeys;
  readonly ticketTtlMs: number;
  readonly maxBatch: number;
}

/** A claim to renew, and its place among the answers. */
interface Item {
  readonly request: RenewRequest;
  readonly at: number;
}

interface Answered {
  readonly answer: RenewAnswer;
  readonly at: number;
}

/** The lease store on Redis: one script for each call of the contract. */
export class RedisLeaseStore implements LeaseStore {
  readonly #options: LeaseStoreOptions;

  constructor(options: LeaseStoreOptions) {
    this.#options = options;
  }

  async acquire(request: AcquireRequest): Promise<Granted | Queued | Refused> {
    const { calls, keysOf, pushes, ticketTtlMs } = this.#options;
    const { resource, owner, ttlMs, weight, queue, value, maxWaiters } = request;
    // A grant can be published as soon as the claim is in the line. So its channel is heard first.
    const timeoutMs = queue && !pushes.isOpen ? await this.#openPushes(request.timeoutMs) : request.timeoutMs;
    const reply = await calls.call({
      script: scripts.acquire,
      resources: [resource],
      args: [
        owner,
        String(ttlMs),
        String(Math.max(ticketTtlMs, ttlMs + 1001)),
        `${ttlMs} ${weight} ${resource.capacity} ${pushes.channel} ${value}`,
        queue ? String(maxWaiters) : "-",
        ...announcement(keysOf, resource),
      ],
      timeoutMs,
      decode: decodeStanding,
      wrote: ({ kind }) => kind !== "refused",
      late: ({ kind }) => {
        if (kind !== "refused") pushes.cameLate(owner, () => this.#takeBack(request));
      },
    });
    if (reply.value.kind === "queued") pushes.queued(owner);
    else pushes.forget(owner);
    if (reply.value.kind === "refused") return reply.value;
    const { isProof, ...place } = reply.value;
    const acknowledged = { ...place, ttlMs, validFrom: isProof ? reply.validFrom : nothingProved };
    return reply.resent ? { ...acknowledged, resent: true } : acknowledged;
  }

  /**
   * Renews in batches: on a single server as few as possible; in a Cluster one for each resource,
   * since each has a slot of its own. All batches are sent at once. A batch that fails leaves its
   * own claims unanswered, and no others.
   */
  async renew(requests: readonly RenewRequest[], { timeoutMs }: CallOptions): Promise<RenewAnswer[]> {
    const { connection, maxBatch } = this.#options;
    const items = requests.map((request, at): Item => ({ request, at }));
    const groups = isCluster(connection.client)
      ? [...Map.groupBy(items, ({ request }) => request.resource.name).values()]
      : [items];
    const batches = groups.flatMap((group) => slices(group, maxBatch));
    const answered = await Promise.all(batches.map((batch) => this.#renewBatch(batch, timeoutMs)));
    return answered
      .flat()
      .sort((a, b) => a.at - b.at)
      .map(({ answer }) => answer);
  }

  async release(request: ReleaseRequest): Promise<boolean> {
    const { calls, keysOf, pushes } = this.#options;
    pushes.forget(request.owner);
    const { value: removed, resent } = await calls.call({
      script: scripts.release,
      resources: [request.resource],
      args: [request.owner, String(request.departedForMs ?? 0), ...announcement(keysOf, request.resource)],
      timeoutMs: request.timeoutMs,
      decode: decodeFlag,
      wrote: (flag) => flag,
    });
    // The client wrote it again after a reset. If the last copy found nothing, an earlier one may
    // have removed the claim, and "gone" would tell its holder of a loss that never was.
    return removed || resent;
  }

  propose(request: ProposeRequest): Promise<boolean> {
    const { owner, ticket, value, sequence } = request;
    return this.#askWhether(scripts.propose, request, [owner, ticketDigits(ticket), String(sequence), value]);
  }

  evict(request: ClaimRef & CallOptions): Promise<boolean> {
    return this.#askWhether(scripts.evict, request, [request.owner]);
  }

  async inspect(resource: string, { timeoutMs }: CallOptions): Promise<Snapshot> {
    const resources = [{ name: resource, announce: false }];
    const call = { script: scripts.inspect, resources, args: [], timeoutMs, decode: decodeSnapshot };
    return (await this.#options.calls.call(call)).value;
  }

  async look(resource: string, { timeoutMs, first = 0, known = "" }: LookOptions): Promise<Look> {
    const resources = [{ name: resource, announce: false }];
    const args = [String(first), known];
    const call = { script: scripts.look, resources, args, timeoutMs, decode: decodeLook };
    return (await this.#options.calls.call(call)).value;
  }

  onGrant(listener: GrantListener): () => void {
    return this.#options.pushes.add(listener);
  }

  watch(resource: string, listener: ChangeListener): () => void {
    return this.#options.changes.watch(this.#options.keysOf(resource).changes, listener);
  }

  /** Rule R7: further copies of the acquire may be on their way, so the release leaves a mark. */
  #takeBack({ resource, owner, ttlMs }: AcquireRequest): Promise<boolean> {
    return this.release({
      ...{ resource, owner },
      timeoutMs: TAKE_BACK_MS,
      departedForMs: Math.max(ttlMs, SHORTEST_MARK_MS),
    });
  }

  async #renewBatch(batch: readonly Item[], timeoutMs: number): Promise<Answered[]> {
    const { connection, calls, keysOf, pushes } = this.#options;
    const resources = batch.map(({ request }) => request.resource);
    const args = batch.flatMap(({ request: { resource, owner, ticket, ttlMs } }) => [
      owner,
      ticketDigits(ticket),
      String(ttlMs),
      resource.announce ? keysOf(resource.name).changes : "",
    ]);
    const decode = (reply: unknown): [Item, Renewal][] | undefined => decodeRenewals(reply, batch);
    const wrote = (renewals: [Item, Renewal][]): boolean =>
      renewals.some(([, { kind }]) => kind === "renewed");
    try {
      const reply = await calls.call({ script: scripts.renew, resources, args, timeoutMs, decode, wrote });
      return reply.value.map(([{ request, at }, renewal]) => {
        const { owner, ticket, ttlMs, resource } = request;
        if (renewal.kind === "gone" || renewal.kind === "evicted") pushes.forget(owner);
        if (renewal.kind === "renewed") {
          if (renewal.granted) pushes.found(owner);
          return { at, answer: { ...renewal, ticket, ttlMs, validFrom: reply.validFrom } };
        }
        if (renewal.kind !== "failed") return { at, answer: renewal };
        const error = connection.explain(renewal.error, keysOf(resource.name).base, scripts.renew);
        return { at, answer: { kind: "unanswered", error } };
      });
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      return batch.map(({ at }) => ({ at, answer: { kind: "unanswered", error } }));
    }
  }

  async #askWhether(
    script: Script,
    request: ClaimRef & CallOptions,
    args: readonly string[],
  ): Promise<boolean> {
    const { calls, keysOf } = this.#options;
    const reply = await calls.call({
      script,
      resources: [request.resource],
      args: [...args, ...announcement(keysOf, request.resource)],
      timeoutMs: request.timeoutMs,
      decode: decodeFlag,
      wrote: (flag) => flag,
    });
    return reply.value;
  }

  /**
   * Waits for the subscription with half of the time at most: an acquire that is not pushed is
   * better than none. Resolves with what is left of the time.
   */
  async #openPushes(timeoutMs: number): Promise<number> {
    const { connection, pushes } = this.#options;
    const leftMs = await connection.whenReady(timeoutMs);
    const spentMs = await pushes.open(leftMs / 2);
    return Math.max(1, leftMs - spentMs);
  }
}

/** The last argument of a script that may change something. Absent, it costs the server nothing. */
function announcement(keysOf: LeaseStoreOptions["keysOf"], { name, announce }: Resource): readonly string[] {
  return announce ? [keysOf(name).changes] : [];
}

function slices<T>(items: readonly T[], size: number): T[][] {
  const result: T[][] = [];
  for (let at = 0; at < items.length; at += size) result.push(items.slice(at, at + size));
  return result;
}
