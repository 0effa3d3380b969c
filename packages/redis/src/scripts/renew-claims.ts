import { LeaseholdError, type RenewAnswer, type RenewRequest } from "@leasehold/core";
import { classifyError, verdictOf } from "../client/classify-error.ts";
import { isCluster } from "../client/client.ts";
import type { Connection } from "../client/connection.ts";
import { decodeRenewals } from "./decode-reply.ts";
import type { Degradations } from "../client/degradations.ts";
import { ticketDigits, type ResourceKeys } from "./keys.ts";
import { scripts } from "./script.ts";

export interface RenewOptions {
  readonly connection: Connection;
  readonly degradations: Degradations;
  readonly keysOf: (resource: string) => ResourceKeys;
  readonly maxBatch: number;
  readonly timeoutMs: number;
}

interface Item {
  readonly request: RenewRequest;
  /** Its place among the answers. */
  readonly at: number;
}

interface Answered {
  readonly answer: RenewAnswer;
  readonly at: number;
}

/**
 * Renews claims in batches: on a standalone server as few as possible; in a Cluster one for each resource, since each has a
 * slot of its own, all at once. A batch that fails leaves its own claims unanswered, and no others.
 */
export async function renewClaims(
  requests: readonly RenewRequest[],
  options: RenewOptions,
): Promise<RenewAnswer[]> {
  const items = requests.map((request, at): Item => ({ request, at }));
  const groups = isCluster(options.connection.client)
    ? [...Map.groupBy(items, ({ request }) => request.resource.name).values()]
    : [items];
  const batches = groups.flatMap((group) => slices(group, options.maxBatch));
  const answered = await Promise.all(batches.map((batch) => renewBatch(batch, options)));
  return answered
    .flat()
    .sort((a, b) => a.at - b.at)
    .map(({ answer }) => answer);
}

async function renewBatch(batch: readonly Item[], options: RenewOptions): Promise<Answered[]> {
  const keys: string[] = [];
  const args: string[] = [];
  for (const { request } of batch) {
    const { base, line, expiry, changes } = options.keysOf(request.resource.name);
    keys.push(base, line, expiry);
    args.push(request.owner, ticketDigits(request.ticket), String(request.ttlMs));
    args.push(request.resource.announce ? changes : "");
  }
  try {
    const { value, validFrom } = await options.connection.call(scripts.renew, keys, args, options.timeoutMs);
    const items = decodeRenewals(value, batch.length);
    return batch.map(({ request, at }, i) => {
      const item = items?.[i];
      if (item === undefined) return { at, answer: unreadable(options.degradations) };
      if (item.kind === "failed")
        return { at, answer: failed(item.error, keys[3 * i] ?? "", options.degradations) };
      const { ticket, ttlMs } = request;
      return { at, answer: item.kind === "renewed" ? { ...item, ticket, ttlMs, validFrom } : item };
    });
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    return batch.map(({ at }) => ({ at, answer: { kind: "unanswered", error } }));
  }
}

function unreadable(degradations: Degradations): RenewAnswer {
  const message = "The reply to a renewal is not one of Leasehold's. Is there a proxy in between?";
  degradations.report("malformed-record", message);
  return { kind: "unanswered", error: new LeaseholdError("OUTCOME_UNKNOWN", message) };
}

function failed(thrown: Error, key: string, degradations: Degradations): RenewAnswer {
  const error = classifyError(thrown, key);
  if (verdictOf(thrown).foreign === true) degradations.report("malformed-record", error.message);
  return { kind: "unanswered", error };
}

function slices<T>(items: readonly T[], size: number): T[][] {
  const result: T[][] = [];
  for (let at = 0; at < items.length; at += size) result.push(items.slice(at, at + size));
  return result;
}
