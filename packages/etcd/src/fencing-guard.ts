import {
  encodeName,
  Health,
  invalidArgument,
  staleToken,
  systemClock,
  systemRandom,
  type Clock,
} from "@leasehold/core";
import type { ICompare } from "etcd3";
import type { EtcdClient } from "./options.ts";
import { Calls } from "./rpc/calls.ts";
import { Deadline } from "./rpc/deadline.ts";
import { Endpoints } from "./rpc/endpoints.ts";
import { namespaceOf } from "./rpc/namespace.ts";
import { RpcFailure, toLeaseholdError } from "./rpc/failure.ts";

export interface EtcdFencingGuardOptions {
  /**
   * The guard's keys are `<prefix>/~fence/<resource>`. Default `leasehold`. They never expire, and
   * need no lease.
   */
  readonly prefix?: string;
  /** How long `claim` and `check` may take, in milliseconds. Default 5000. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

/**
 * Stands before data in etcd and refuses those whose time is over.
 *
 * ```ts
 * await guard.claim("order:42", lease.fencingToken);        // first, before any read
 * const { succeeded } = await etcd.kv.txn({
 *   compare: guard.compare("order:42", lease.fencingToken), // then with every write
 *   success: [{ request_put: { key, value } }],
 * }); // succeeded false: somebody newer has claimed it
 * ```
 *
 * The first operation of a holder, reads included, must be `claim`: a guard that is asked on writes
 * alone still loses updates. For resources of capacity 1 and for writers. Tokens compare only
 * within one store and one name: etcd's are revisions, so a guard that has seen another store's
 * tokens (microseconds) would refuse all of etcd's.
 */
export interface EtcdFencingGuard {
  /**
   * Raises the fence to `token`; equal is accepted. Rejects with `STALE_TOKEN` when a higher one
   * was claimed, and with
   * `OUTCOME_UNKNOWN` when etcd did not answer: claim again, it is repeatable.
   */
  claim(resource: string, token: bigint): Promise<void>;
  /** For readers: rejects with `STALE_TOKEN` when a higher token was claimed. Claims nothing. */
  check(resource: string, token: bigint): Promise<void>;
  /**
   * For the `compare` of your own transaction: holds while the fence stands at exactly `token`, so
   * `claim` it first.
   */
  compare(resource: string, token: bigint): ICompare[];
}

const digits = 20;

export function etcdFencingGuard(
  client: EtcdClient,
  options: EtcdFencingGuardOptions = {},
): EtcdFencingGuard {
  const { prefix = "leasehold", timeoutMs = 5_000, clock = systemClock } = options;
  const calls = new Calls(new Endpoints(client, clock, systemRandom), clock, undefined, new Health(clock));
  const namespace = namespaceOf(client);
  const keyOf = (resource: string): Buffer =>
    Buffer.from(`${namespace}${prefix}/~fence/${encodeName(resource)}`);
  // Of equal length, so that etcd's order of bytes is the order of numbers.
  const valueOf = (token: bigint): Buffer => Buffer.from(padded(token));

  /** One step: raises the fence, or tells where it stands; null: there is none yet. */
  async function raise(key: Buffer, token: bigint, first: boolean, leftMs: number): Promise<bigint | null> {
    const value = valueOf(token);
    // etcd holds no compare of values true for a key that is not there, so the first claim is
    // another question.
    const compare: ICompare = first
      ? { key, target: "Create", result: "Equal", create_revision: "0" }
      : { key, target: "Value", result: "Less", value };
    const answer = await calls.unary(
      ({ kv }, callOptions) =>
        kv.txn(
          {
            compare: [compare],
            success: [{ request_put: { key, value } }],
            failure: [{ request_range: { key } }],
          },
          callOptions,
        ),
      leftMs,
    );
    return answer.succeeded ? token : fenceOf(answer.responses[0]?.response_range.kvs[0]?.value);
  }

  return {
    compare: (resource, token) => [
      { key: keyOf(resource), target: "Value", result: "Equal", value: valueOf(token) },
    ],
    claim: async (resource, token) => {
      const key = keyOf(resource);
      const deadline = new Deadline(clock, timeoutMs);
      padded(token);
      try {
        for (let first = false; ;) {
          const fence = await raise(key, token, first, deadline.leftMs);
          if (fence === token) return;
          if (fence !== null && fence > token) throw staleToken(token, fence);
          // Absent, or put there by another first claim just now: ask the other question. Fences
          // are never deleted, so it ends.
          first = fence === null;
          if (deadline.leftMs <= 0) throw new RpcFailure("busy", "the fence kept changing");
        }
      } catch (error) {
        throw toLeaseholdError(error, "claim of a fence", true);
      }
    },
    check: async (resource, token) => {
      padded(token);
      const key = keyOf(resource);
      try {
        const { kvs } = await calls.unary(({ kv }, callOptions) => kv.range({ key }, callOptions), timeoutMs);
        const fence = fenceOf(kvs[0]?.value);
        if (fence !== null && fence > token) throw staleToken(token, fence);
      } catch (error) {
        throw toLeaseholdError(error, "check of a fence", false);
      }
    },
  };
}

function padded(token: bigint): string {
  if (typeof token !== "bigint" || token < 0n || token >= 10n ** BigInt(digits))
    throw invalidArgument("token must be a bigint: pass lease.fencingToken.");
  return token.toString().padStart(digits, "0");
}

/** Something that is no fence must not open it: better nobody writes than everybody. */
function fenceOf(value: Buffer | undefined): bigint | null {
  if (value === undefined) return null;
  const text = value.toString("latin1");
  if (new RegExp(`^[0-9]{${digits}}$`).test(text)) return BigInt(text);
  throw new RpcFailure("refused", "the fence's key holds something that is no token; remove it by hand");
}
