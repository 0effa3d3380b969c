import { createHash } from "node:crypto";

/**
 * Shares keys out among members by rendezvous hashing (Thaler and Ravishankar, 1998): each key goes to the member with the
 * highest hash of the two. Every process that sees the same members computes the same shares, whatever their order; when a
 * member goes, only its keys move, and when one comes, only those that it takes.
 *
 * Pass what members keep over a restart (their values), not their ids, if their keys are to come back to them.
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
      // Equal hashes do not happen; if they did, everybody would still agree.
      if (owner === undefined || score > highest || (score === highest && member > owner))
        [owner, highest] = [member, score];
    }
    if (owner !== undefined) shares.get(owner)?.push(key);
  }
  return shares;
}

/** The length in front keeps ("a", "bc") and ("ab", "c") apart. */
function weigh(member: string, key: string): string {
  return createHash("sha256").update(`${member.length}:${member}${key}`).digest("hex");
}
