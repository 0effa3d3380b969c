import fc from "fast-check";

/**
 * One thing that somebody does. `slot` is who: at any time it has one owner, and at most one claim.
 */
export type Command = { readonly slot: number } & (
  | { readonly do: "acquire"; readonly weight: number; readonly queue: boolean; readonly ttlMs: number }
  | { readonly do: "acquire with another capacity" | "renew" | "renew another ticket" | "release" | "evict" }
  | { readonly do: "renew all" }
  | { readonly do: "propose"; readonly value: string; readonly sequence: number }
  /** Joins with a short ttl, is followed by somebody, and is heard of no more. */
  | {
      readonly do: "die in line";
      readonly weight: number;
      readonly follower: number;
      readonly followerWeight: number;
    }
  /** Only where time is simulated. */
  | { readonly do: "elapse"; readonly ms: number }
);

export interface Script {
  readonly capacity: number;
  readonly maxWaiters: number;
  readonly commands: readonly Command[];
}

export interface Variety {
  readonly capacity: fc.Arbitrary<number>;
  /** Weights of a line with this capacity. */
  weight(capacity: number): fc.Arbitrary<number>;
  /** Ttls of claims that nobody lets die. */
  readonly ttlMs: fc.Arbitrary<number>;
  readonly elapses: boolean;
  readonly dies: boolean;
  readonly maxCommands: number;
}

const slots = 8;

/** Scripts for one line. */
export function scripts(variety: Variety): fc.Arbitrary<Script> {
  return variety.capacity.chain((capacity) =>
    fc.record({
      capacity: fc.constant(capacity),
      maxWaiters: fc.constantFrom(2, 4, 100),
      // As long as may be, whatever the default size: short ones come of shrinking.
      commands: fc.array(command(variety, capacity), { maxLength: variety.maxCommands, size: "max" }),
    }),
  );
}

function command(variety: Variety, capacity: number): fc.Arbitrary<Command> {
  const slot = fc.nat(slots - 1);
  const weight = variety.weight(capacity);
  const just = <T extends string>(what: T): fc.Arbitrary<T> => fc.constant(what);
  const plain = fc.constantFrom(
    ...(["acquire with another capacity", "renew", "renew another ticket", "renew all", "evict"] as const),
  );
  const acquire = fc.record({ do: just("acquire"), slot, weight, queue: fc.boolean(), ttlMs: variety.ttlMs });
  const proposal = {
    slot,
    value: fc.string({ unit: "binary", maxLength: 8 }),
    sequence: fc.integer({ min: 1, max: 4 }),
  };
  const death = { do: just("die in line"), slot, weight, follower: slot, followerWeight: weight };
  return fc.oneof(
    { arbitrary: acquire, weight: 8 },
    { arbitrary: fc.record({ do: just("release"), slot }), weight: 4 },
    { arbitrary: fc.record({ do: plain, slot }), weight: 4 },
    { arbitrary: fc.record({ do: just("propose"), ...proposal }), weight: 2 },
    { arbitrary: fc.record(death), weight: variety.dies ? 1 : 0 },
    {
      arbitrary: fc.record({ do: just("elapse"), slot, ms: fc.integer({ min: 1, max: 600 }) }),
      weight: variety.elapses ? 3 : 0,
    },
  );
}
