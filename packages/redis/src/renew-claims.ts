import { LeaseholdError, type RenewAnswer, type RenewRequest } from "@leasehold/core";
import { classifyError, verdictOf } from "./classify-error.ts";
import { isCluster } from "./client.ts";
import type { Connection } from "./connection.ts";
import { decodeRenewals } from "./decode-reply.ts";
import type { Degradations } from "./degradations.ts";
import type { ResourceKeys } from "./keys.ts";
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

/**
 * Renews claims in batches: on a standalone server as few as possible; in a Cluster one for each resource, since each has a
 * slot of its own, all at once. A batch that fails leaves its own claims unanswered, and no others.
 */
export async function renewClaims(
  requests: readonly RenewRequest[],
  options: RenewOptions,
): Promise<RenewAnswer[]> {
  const answers = new Array<RenewAnswer>(requests.length);
  const items = requests.map((request, at): Item => ({ request, at }));
  const groups = isCluster(options.connection.client)
    ? [...Map.groupBy(items, ({ request }) => request.resource).values()]
    : [items];
  const batches = groups.flatMap((group) => slices(group, options.maxBatch));
  await Promise.all(
    batches.map(async (batch) => {
      const results = await renewBatch(
        batch.map(({ request }) => request),
        options,
      );
      for (const [i, { at }] of batch.entries()) answers[at] = results[i] ?? { kind: "gone" };
    }),
  );
  return answers;
}

async function renewBatch(requests: readonly RenewRequest[], options: RenewOptions): Promise<RenewAnswer[]> {
  const { connection, degradations, keysOf, timeoutMs } = options;
  const keys: string[] = [];
  const args: string[] = [];
  for (const { resource, owner, ticket, ttlMs } of requests) {
    const { base, line, expiry } = keysOf(resource);
    keys.push(base, line, expiry);
    args.push(owner, String(ticket).padStart(16, "0"), String(ttlMs));
  }
  try {
    const { value, validFrom } = await connection.call(scripts.renew, keys, args, timeoutMs);
    const items = decodeRenewals(value, requests.length);
    if (items === undefined)
      throw new LeaseholdError("OUTCOME_UNKNOWN", "The reply to a renewal is not one of Leasehold's.");
    return requests.map(({ ticket, ttlMs }, i): RenewAnswer => {
      const item = items[i];
      if (item === undefined || item.kind === "gone") return { kind: "gone" };
      if (item.kind === "failed") {
        const error = classifyError(item.error, keys[3 * i] ?? "");
        if (verdictOf(item.error).foreign === true) degradations.report("malformed-record", error.message);
        return { kind: "unanswered", error };
      }
      return { ...item, ticket, ttlMs, validFrom };
    });
  } catch (error) {
    const failed = error instanceof Error ? error : new Error(String(error));
    return requests.map(() => ({ kind: "unanswered", error: failed }));
  }
}

function slices<T>(items: readonly T[], size: number): T[][] {
  const result: T[][] = [];
  for (let at = 0; at < items.length; at += size) result.push(items.slice(at, at + size));
  return result;
}
