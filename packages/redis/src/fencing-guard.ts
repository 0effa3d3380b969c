import {
  invalidArgument,
  isLeaseholdError,
  LeaseholdError,
  staleToken,
  systemClock,
  within,
  type Clock,
} from "@leasehold/core";
import { classifyError, isForeign, isOfScript } from "./client/classify-error.ts";
import { runScript, type ClusterClient, type RedisClient } from "./client/client.ts";
import { serverAddress } from "./client/server-address.ts";
import { checkToken, claimToken, guarded } from "./scripts/fence.ts";
import { fenceKey } from "./scripts/keys.ts";
import { makeScript, type Script } from "./scripts/script.ts";

/** Options of `redisFencingGuard`. */
export interface RedisFencingGuardOptions {
  /** What the fences' keys begin with: `<prefix>:fence:`. Default `leasehold`. */
  readonly prefix?: string;
  /**
   * How long a call waits for its answer, in milliseconds. Then it fails with `OUTCOME_UNKNOWN`.
   * Default 5,000.
   */
  readonly timeoutMs?: number;
  /** The clock that `timeoutMs` is counted on. Default: the system's. */
  readonly clock?: Clock;
}

/** A script of the user's, to run behind the guard. */
export interface GuardedScript {
  /**
   * Lua, and constant: pass what varies as `args`. The server keeps each text for as long as it
   * runs.
   */
  readonly script: string;
  /** In a Cluster they, and the resource, need one `{tag}`. Default none. */
  readonly keys?: readonly string[];
  /** Default none. */
  readonly args?: readonly string[];
}

/**
 * Stands before data in Redis, and refuses holders whose time is over. It is for resources of
 * capacity 1, and for the writers of a read-write lock.
 *
 * The first operation of a holder, reads included, must be `claim` or `run`. A guard that is asked
 * on writes alone still loses updates: an old holder's write lands between the new holder's read
 * and its write.
 *
 * The fence lives in the Redis that holds the data, for as long as the data does. It has no ttl. Do
 * not give it one, and do not let Redis evict it (`maxmemory-policy noeviction`, or a `volatile-`
 * one). If it is lost with the data, no harm is done.
 *
 * Tokens compare only within one store and one name. A resource that moves to a lock on another
 * store needs its fence deleted, with all holders stopped: etcd's tokens are revisions, and far
 * smaller.
 *
 * All calls reject with `OUTCOME_UNKNOWN` when no answer came, `BACKEND_UNAVAILABLE` when nothing
 * was written, and `INVALID_ARGUMENT` for a token that is no bigint of 0 or more.
 */
export interface RedisFencingGuard {
  /**
   * Takes the resource for `token`. Rejects with `STALE_TOKEN` if a higher token was claimed. A
   * token equal to the highest is the same holder's, and accepted.
   */
  claim(resource: string, token: bigint): Promise<void>;
  /** For readers: rejects with `STALE_TOKEN` if a higher token was claimed. Claims nothing. */
  check(resource: string, token: bigint): Promise<void>;
  /**
   * Claims, and runs `script` in the same atomic step: nothing comes between. Resolves with what
   * the script returns. Rejects with `STALE_TOKEN` as `claim` does; the script then has not run.
   *
   * To the server the fence is one more key at the end of KEYS, and the token one more argument at
   * the end of ARGV. Both are taken off before the script begins, so it sees its own.
   *
   * An error of the script rejects as an `Error` named `ReplyError`, with the message that the
   * server gave it and nothing else: no command, no keys, no arguments. The claim stays. What a
   * script puts into its own messages is its author's affair.
   */
  run(resource: string, token: bigint, guarded: GuardedScript): Promise<unknown>;
}

const claiming = makeScript(claimToken);
const checking = makeScript(checkToken);

/** How many scripts of the user's are remembered. A program has a handful. */
const MOST_SCRIPTS = 200;

/**
 * A guard on the Redis of `client`, which stays the caller's own.
 *
 * ```ts
 * const guard = redisFencingGuard(client);
 * await coordinator.lock("account:42").run(async (lease) => {
 *   const script = "return redis.call('INCRBY', KEYS[1], ARGV[1])";
 *   const deposit = { script, keys: ["balance:42"], args: ["10"] };
 *   await guard.run("account:42", lease.fencingToken, deposit);
 * });
 * ```
 */
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
      // ioredis waits as long as it takes. A late answer is dropped in silence.
      return await within(sent, { clock, limitMs: timeoutMs, keepAlive: true }, () => {
        const message =
          `Redis at ${serverAddress(client)} did not answer within ${Math.round(timeoutMs)} ms. ` +
          "The step may have been taken.";
        throw new LeaseholdError("OUTCOME_UNKNOWN", message);
      });
    } catch (error) {
      if (isLeaseholdError(error)) throw error;
      const [, seen] = (error instanceof Error && /^STALETOKEN (\d+)/.exec(error.message)) || [];
      if (seen !== undefined) throw staleToken(token, BigInt(seen));
      if (script !== claiming && script !== checking && isOwn(error)) throw withoutCommand(error);
      throw classifyError(error, key, serverAddress(client));
    }
  };

  return {
    claim: async (resource, token) => void (await call(claiming, resource, token)),
    check: async (resource, token) => void (await call(checking, resource, token)),
    run: async (resource, token, { script, keys, args }) =>
      call(scriptOf(script), resource, token, { ...(keys && { keys }), ...(args && { args }) }),
  };
}

/**
 * Whether it is the user's script that failed. What we put before it is the first line, so a
 * foreign value that is met later is the user's own, of another type than the script expects.
 */
function isOwn(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return isOfScript(error) || (isForeign(error) && !error.message.endsWith(" on @user_script:1."));
}

/** The author of a script needs its message. ioredis hangs the whole command on it besides. */
function withoutCommand({ message }: Error): Error {
  return Object.assign(new Error(message), { name: "ReplyError" });
}
