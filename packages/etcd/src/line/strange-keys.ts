import type { Calls } from "../rpc/calls.ts";
import { isOnLease, isUnchanged } from "../format/claim-compares.ts";
import type { Line, Litter } from "./line.ts";

/** How much is removed for one read. Whoever reads next finds the rest. */
const removedAtOnce = 64;

/**
 * A line was read: tells operators of keys in it that are no claims, and removes those that are
 * provably litter. `garbled`: how many of its claims have a value that is no record.
 *
 * A key is a claim if it is named like one and has a lease. Whoever counts keys takes one without a
 * lease for a claim all the same, and it never ends: it would keep a line waiting for ever. So
 * whoever waits reads the line, and the key is removed. No Leasehold wrote it, for every put of
 * ours names a lease: it was copied here (\`etcdctl make-mirror\`), or somebody put a value by hand,
 * which takes a key off its lease. If that was done to a claim that was held, its holder has lost
 * it, as by a deletion: it learns so from its next renewal.
 */
export async function meetStrange(
  calls: Calls,
  resource: string,
  { malformed, litter }: Pick<Line, "malformed" | "litter">,
  garbled: number,
  timeoutMs: number,
): Promise<void> {
  const foreign = malformed + garbled;
  const of = `of resource ${JSON.stringify(resource)}`;
  if (foreign > 0) tell(calls, `${foreign} keys ${of} are no claims. They are ignored; remove them.`);
  if (litter.length === 0) return;
  const found = `${litter.length} keys ${of} are named like claims, and have no lease`;
  tell(calls, `${found}: they were put by hand, or copied. They are removed.`);
  const removals = litter.slice(0, removedAtOnce).map((each) => remove(calls, each, timeoutMs));
  await Promise.allSettled(removals);
}

function tell({ health }: Calls, message: string): void {
  health.degraded({ reason: "malformed-record", message });
}

/** If the name was used again meanwhile, or the key was put on a lease, it has been written since. */
function remove(calls: Calls, { key, revision }: Litter, timeoutMs: number): Promise<unknown> {
  const compare = [isOnLease(key, "0"), isUnchanged(key, revision)];
  const success = [{ request_delete_range: { key } }];
  return calls.unary(({ kv }, options) => kv.txn({ compare, success }, options), timeoutMs);
}
