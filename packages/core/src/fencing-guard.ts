import { LeaseholdError, invalidArgument } from "./errors.ts";

/**
 * Stands before a resource in this process and refuses those whose time is over.
 *
 * The first operation of a holder, reads included, must be `claim`: a guard that is asked on writes alone still loses
 * updates (an old holder's write lands between the new holder's read and its write; a model checker finds the trace in 77
 * states). For resources of capacity 1 and for writers. A semaphore's tokens identify, they do not order. Tokens compare
 * only within one store and one name: etcd's are revisions, the others' microseconds.
 */
export interface FencingGuard {
  /** The highest token claimed so far; null before the first. */
  readonly highest: bigint | null;
  /** Takes the resource for `token`. Equal to the highest is the same holder, and accepted. Throws `STALE_TOKEN` if lower. */
  claim(token: bigint): void;
  /** For readers: throws `STALE_TOKEN` if a higher token was claimed. Claims nothing. */
  check(token: bigint): void;
}

/** A guard that starts at `highest`, if the resource remembers one (persist it with the data that it guards). */
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
