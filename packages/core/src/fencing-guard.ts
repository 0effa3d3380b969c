import { LeaseholdError, invalidArgument } from "./errors.ts";

/**
 * Stands before a resource in this process, and refuses holders whose time is over.
 *
 * The first operation of a holder, reads included, must be `claim`. A guard that is asked on writes
 * alone still loses updates: an old holder's write lands between the new holder's read and its
 * write. (A model checker finds that trace in 77 states.)
 *
 * It is for resources of capacity 1, and for writers: a semaphore's tokens identify, they do not
 * order. Tokens compare only within one store and one name: those of etcd are revisions, those of
 * the other stores microseconds.
 */
export interface FencingGuard {
  /** The highest token claimed so far; null before the first. */
  readonly highest: bigint | null;
  /**
   * Takes the resource for `token`. A token equal to the highest is of the same holder, and is
   * accepted. Throws `STALE_TOKEN` if it is lower, `INVALID_ARGUMENT` if it is not a token.
   *
   * @example
   * guard.claim(lease.fencingToken);
   * const balance = await account.read();
   */
  claim(token: bigint): void;
  /**
   * For readers: as `claim`, but claims nothing. Throws `STALE_TOKEN` if a higher one was claimed.
   */
  check(token: bigint): void;
}

/**
 * Makes a guard that starts at `highest`: the highest token that the resource remembers, if it
 * does. Persist it with the data that it guards.
 */
export function createFencingGuard(options: { highest?: bigint } = {}): FencingGuard {
  let highest: bigint | null = options.highest ?? null;
  const check = (token: bigint): void => {
    if (typeof token !== "bigint" || token < 0n)
      throw invalidArgument("token must be a bigint: pass lease.fencingToken.");
    if (highest !== null && token < highest) throw staleToken(token, highest);
  };
  return {
    get highest() {
      return highest;
    },
    check,
    claim: (token) => {
      check(token);
      highest = token;
    },
  };
}

/** The error that every guard rejects with. */
export function staleToken(token: bigint, highest: bigint | null): LeaseholdError {
  const seen = highest === null ? "a higher token" : `token ${highest}`;
  return new LeaseholdError(
    "STALE_TOKEN",
    `Token ${token} is stale: the resource has seen ${seen}. Its lease is over; acquire again before the next write.`,
  );
}
