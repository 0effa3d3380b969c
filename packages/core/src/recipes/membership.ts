import { checkSignal, checkValue } from "../base/arguments.ts";
import type { HolderView } from "../contract/lease-store.ts";
import type { Lease } from "../lease/lease.ts";
import type { Session } from "../lease/session.ts";
import type { AcquireOptions, Defaults } from "./acquire-options.ts";
import { decodeClaimValue } from "./claim-value.ts";
import { LineResource } from "./line-resource.ts";
import { observe } from "./observation.ts";
import { maxCapacity } from "./semaphore.ts";
import { lookOnce } from "./shared-observation.ts";

/** One member, as others see it. */
export interface Member {
  /** Unique for ever: a process that leaves and joins again is another member. */
  readonly id: string;
  readonly value: string;
  /** Grows in the order in which members joined. */
  readonly term: bigint;
}

export type JoinOptions = Pick<AcquireOptions, "ttlMs" | "signal" | "metadata"> & {
  /** What others read of this member, such as its address. At most 4 KiB. */
  readonly value: string;
};

/** Who is there. A member that crashes is gone after its ttl. */
export interface Membership {
  readonly name: string;
  /**
   * Joins. The lease is the membership: it is renewed until it is released. Rejects as
   * `Lock.acquire` does.
   *
   * @example
   * await using lease = await coordinator.membership("workers").join({ value: "10.0.0.7:9000" });
   */
  join(options: JoinOptions): Promise<Lease>;
  /**
   * Who is there now, in order of joining. One round trip. Rejects with `BACKEND_UNAVAILABLE`,
   * `OUTCOME_UNKNOWN` or `CLOSED`.
   *
   * @example
   * const addresses = (await workers.members()).map(({ value }) => value);
   */
  members(): Promise<readonly Member[]>;
  /**
   * Who is there, from now on: first as it is, then after each change. Changes within 100 ms may be
   * seen as one. It goes on through outages of the store. It ends when `signal` aborts or the
   * coordinator closes. However many observe in this process, the store is asked once.
   *
   * @example
   * for await (const members of workers.observe({ signal }))
   *   shares = assign(members.map(({ value }) => value), shards);
   */
  observe(options?: { readonly signal?: AbortSignal }): AsyncIterable<readonly Member[]>;
}

/** A membership is a line with room for everybody, whose claims say what their members are. */
export function createMembership(session: Session, name: string, defaults: Defaults): Membership {
  const line = new LineResource(session, name, { recipe: "membership", capacity: maxCapacity }, defaults);
  return {
    name,
    join: async (options) => line.acquire({ weight: 1, value: checkValue(options?.value) }, options),
    members: async () => {
      session.context.assertOpen();
      return membersOf(await lookOnce(session, { resource: line.resource.name }));
    },
    observe: ({ signal } = {}) => changes(line, checkSignal(signal)),
  };
}

async function* changes(
  { session, resource }: LineResource,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly Member[], void, undefined> {
  let last: string | undefined;
  for await (const holders of observe(session, { resource: resource.name }, signal)) {
    const members = membersOf(holders);
    const text = JSON.stringify(members.map(({ id, value }) => [id, value]));
    if (text === last) continue;
    last = text;
    yield members;
  }
}

function membersOf(holders: readonly HolderView[]): readonly Member[] {
  return holders.map(({ owner, ticket, value }) => ({
    id: owner,
    term: ticket,
    value: decodeClaimValue(value)?.value ?? "",
  }));
}
