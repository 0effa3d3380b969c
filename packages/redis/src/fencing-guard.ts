import {
  invalidArgument,
  isLeaseholdError,
  LeaseholdError,
  staleToken,
  systemClock,
  type Clock,
} from "@leasehold/core";
import { classifyError, isForeseen } from "./client/classify-error.ts";
import type { ClusterClient, RedisClient } from "./client/client.ts";
import { fenceKey } from "./scripts/fence-key.ts";
import { makeScript, runScript, type Script } from "./scripts/script.ts";
import { checkToken, claimToken, guarded } from "./scripts/fence.ts";

export interface RedisFencingGuardOptions {
  /** What the fences' keys begin with: `<prefix>:fence:`. Default `leasehold`. */
  readonly prefix?: string;
  /** After this long without an answer a call fails with `OUTCOME_UNKNOWN`, in milliseconds. Default 5,000. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

/** A script of the user's, to run behind the guard. */
export interface GuardedScript {
  /** Lua, and constant: pass what varies as `args`. Each text is kept by the server for as long as it runs. */
  readonly script: string;
  /** In a Cluster they, and the resource, need one `{tag}`. */
  readonly keys?: readonly string[];
  readonly args?: readonly string[];
}

/**
 * Stands before data in Redis and refuses those whose time is over. For resources of capacity 1, and for writers.
 *
 * The first operation of a holder, reads included, must be `claim` or `run`: a guard that is asked on writes alone still
 * loses updates (an old holder's write lands between the new holder's read and its write).
 *
 * The fence lives in the Redis that holds the data, as long as the data does: it has no ttl, and must not be given one, nor
 * be evicted (`maxmemory-policy noeviction`, or a `volatile-` one). If it is lost with the data, no harm is done.
 *
 * Tokens compare only within one store and one name. A resource that moves to a lock on another store (etcd's tokens are
 * revisions, far smaller) needs its fence deleted, with all holders stopped.
 */
export interface RedisFencingGuard {
  /** Takes the resource for `token`. Equal to the highest is the same holder, and accepted. Rejects with `STALE_TOKEN` if lower. */
  claim(resource: string, token: bigint): Promise<void>;
  /** For readers: rejects with `STALE_TOKEN` if a higher token was claimed. Claims nothing. */
  check(resource: string, token: bigint): Promise<void>;
  /**
   * Claims, and runs `script` in the same atomic step: nothing comes between. Resolves with what the script returns.
   *
   * To the server the fence is one more key at the end of KEYS, the token one more argument at the end of ARGV; both are
   * taken off before the script begins, which sees its own. An error of the script is passed on as it is; the claim stays.
   */
  run(resource: string, token: bigint, guarded: GuardedScript): Promise<unknown>;
}

const claiming = makeScript(claimToken);
const checking = makeScript(checkToken);

/** How many scripts of the user's are remembered; a program has a handful. */
const MOST_SCRIPTS = 200;

/** A guard on the Redis of `client`, which stays the caller's own. */
export function redisFencingGuard(
  client: RedisClient | ClusterClient,
  options: RedisFencingGuardOptions = {},
): RedisFencingGuard {
  const { prefix = "leasehold", timeoutMs = 5_000, clock = systemClock } = options;
  const scripts = new Map<string, Script>();

  const scriptOf = (text: string): Script => {
    if (text.startsWith("#!")) throw invalidArgument("script must be plain Lua, without a #! line.");
    const script = scripts.get(text) ?? makeScript(guarded(text));
    if (scripts.size >= MOST_SCRIPTS) scripts.clear();
    scripts.set(text, script);
    return script;
  };

  const call = async (
    script: Script,
    resource: string,
    token: bigint,
    { keys = [], args = [] }: Omit<GuardedScript, "script"> = {},
  ): Promise<unknown> => {
    if (typeof token !== "bigint" || token < 0n)
      throw invalidArgument("token must be a bigint: pass lease.fencingToken.");
    const key = fenceKey(prefix, resource);
    try {
      const sent = runScript(client, script, [...keys, key], [...args, String(token)]);
      return await withinTime(sent, clock, timeoutMs);
    } catch (error) {
      if (isLeaseholdError(error)) throw error;
      const [, seen] = (error instanceof Error && /^STALETOKEN (\d+)/.exec(error.message)) || [];
      if (seen !== undefined) throw staleToken(token, BigInt(seen));
      // What is not ours is the script's own: its author needs it as it is.
      if (script !== claiming && script !== checking && !isForeseen(error)) throw error;
      throw classifyError(error, key);
    }
  };

  return {
    claim: async (resource, token) => void (await call(claiming, resource, token)),
    check: async (resource, token) => void (await call(checking, resource, token)),
    run: async (resource, token, { script, keys, args }) =>
      call(scriptOf(script), resource, token, { ...(keys && { keys }), ...(args && { args }) }),
  };
}

/** ioredis waits as long as it takes; we do not. The late answer is dropped in silence. */
function withinTime<T>(answer: Promise<T>, clock: Clock, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => {
      const message = `Redis did not answer within ${timeoutMs} ms. The step may have been taken.`;
      reject(new LeaseholdError("OUTCOME_UNKNOWN", message));
    };
    const timer = clock.schedule(timeoutMs, late, { keepAlive: true });
    answer.then(resolve, reject).finally(() => timer.cancel());
  });
}
