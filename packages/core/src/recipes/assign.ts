import { createHash } from "node:crypto";

/**
 * Shares keys out among members by rendezvous hashing: each key goes to the member for which the
 * hash of member and key is highest. Every process that sees the same members computes the same
 * shares, whatever their order. When a member leaves, only its keys move. When a member joins, only
 * the keys that it takes move.
 *
 * Pass what members keep over a restart (their values), not their ids, if their keys are to come
 * back to them. Each call costs one SHA-256 per member and key.
 *
 * The algorithm: D. G. Thaler and C. V. Ravishankar, "Using Name-Based Mappings to Increase Hit
 * Rates", IEEE/ACM Transactions on Networking 6(1), 1998.
 *
 * @example
 * const shares = assign(["host-1", "host-2"], ["shard-0", "shard-1", "shard-2"]);
 * for (const shard of shares.get("host-1") ?? []) consume(shard);
 */
export function assign<Key extends string>(
  members: readonly string[],
  keys: readonly Key[],
): ReadonlyMap<string, readonly Key[]> {
  const shares = new Map<string, Key[]>(members.map((member) => [member, []]));
  for (const key of keys) {
    let owner: string | undefined;
    let highest = "";
    for (const member of shares.keys()) {
      const score = weigh(member, key);
      // Equal hashes do not happen. If they did, everybody would still agree.
      if (owner === undefined || score > highest || (score === highest && member > owner))
        [owner, highest] = [member, score];
    }
    if (owner !== undefined) shares.get(owner)?.push(key);
  }
  return shares;
}

/** The score of a pair. The length in front keeps ("a", "bc") and ("ab", "c") apart. */
function weigh(member: string, key: string): string {
  return createHash("sha256").update(`${member.length}:${member}${key}`).digest("hex");
}
