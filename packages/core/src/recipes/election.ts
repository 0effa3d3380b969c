import { checkFunction, checkName, checkSignal, checkValue } from "../base/arguments.ts";
import type { Snapshot } from "../contract/lease-store.ts";
import { decodeClaimValue } from "./claim-value.ts";
import { sleep, stayAlive } from "../base/clock.ts";
import { isLeaseholdError } from "../errors.ts";
import { HeldLeadership, type Leadership } from "./leadership.ts";
import { isAbort, LineResource, type AcquireOptions, type Defaults } from "./line-resource.ts";
import { look, observe } from "./observation.ts";
import type { Session } from "../lease/session.ts";

export interface ElectionOptions {
  /** Who stands: shown to observers. 1 to 512 bytes. */
  readonly candidate: string;
  /** What the leader tells observers at first, such as its address. Default: empty. At most 4 KiB. */
  readonly value?: string;
}

/** Who leads, as an observer sees it. */
export interface Leader {
  readonly candidate: string;
  readonly value: string;
  readonly term: bigint;
}

export type CampaignOptions = Pick<AcquireOptions, "ttlMs" | "waitMs" | "signal" | "metadata">;

export interface Election {
  readonly name: string;
  /**
   * Stands in line until elected: in order of arrival, with no time limit unless `waitMs` sets one. Rejects as
   * `Lock.acquire` does: a candidate whose place died is told so at once, and is never elected.
   */
  campaign(options?: CampaignOptions): Promise<Leadership>;
  /**
   * Campaigns, runs `body` while leading, and campaigns again whenever the leadership was lost or resigned: the signal
   * aborts, the body is awaited, and only then does the next term begin. Resolves when `signal` aborts (the body has ended,
   * and the leadership was handed over) or when the body returns by itself; rejects with an error of the body's own, or
   * `CLOSED`, or as `campaign` does (but not for a place in line that died: it stands again). While it leads, it keeps the
   * process alive. A body that ignores its signal is reported as `stuck`, and its successor waits for it or for its ttl.
   */
  lead(body: (leadership: Leadership) => void | Promise<void>, options?: CampaignOptions): Promise<void>;
  /** Who leads now, or null. One round trip. */
  leader(): Promise<Leader | null>;
  /**
   * Who leads, from now on: first as it is, then each change, vacancies (null) included; terms never go back, and of one
   * term each value that lasts longer than a push is seen. Ends when `signal` aborts or the coordinator closes; survives
   * whatever happens to the store.
   *
   * A leadership of this very process that turns out to be superseded is lost at once.
   */
  observe(options?: { readonly signal?: AbortSignal }): AsyncIterable<Leader | null>;
}

/** An election is a line of capacity 1 whose claims say who stands and what for. The head leads; its ticket is the term. */
export function createElection(
  session: Session,
  name: string,
  options: ElectionOptions,
  defaults: Defaults,
): Election {
  const candidate = checkName("candidate", options?.candidate);
  const value = checkValue(options.value ?? "");
  // An election waits for as long as it takes.
  const patient = { ...defaults, waitMs: Infinity };
  const line = new LineResource(session, name, { recipe: "election", capacity: 1 }, patient);
  const campaign = async (campaignOptions: CampaignOptions = {}): Promise<HeldLeadership> => {
    const { metadata } = campaignOptions;
    // Read once: what the claim says of itself is also what stays beside everything it will proclaim.
    const sinceMs = session.context.clock.now().wallMs;
    const content = { candidate, metadata, label: defaults.label, sinceMs };
    const lease = await line.acquire({ weight: 1, candidate, value, sinceMs }, campaignOptions);
    return new HeldLeadership(line, lease, content);
  };
  return {
    name,
    campaign,
    lead: async (body, leadOptions = {}) => lead(line, campaign, checkFunction("body", body), leadOptions),
    leader: async () => {
      session.context.assertOpen();
      return leaderOf(await look(session, line.resource.name));
    },
    observe: ({ signal } = {}) => leaders(line, checkSignal(signal)),
  };
}

async function lead(
  line: LineResource,
  campaign: (options: CampaignOptions) => Promise<HeldLeadership>,
  body: (leadership: Leadership) => void | Promise<void>,
  options: CampaignOptions,
): Promise<void> {
  const { session } = line;
  const { signal } = options;
  const isOver = (): boolean => signal?.aborted === true;
  while (!isOver()) {
    let leadership: HeldLeadership;
    try {
      leadership = await campaign(options);
    } catch (error) {
      if (isOver()) return;
      // The place in line died: a pause, a flush. Stand again, but not in a tight loop.
      if (!isLeaseholdError(error, "LEASE_LOST")) throw error;
      await sleep(session.context.clock, 50 + 100 * session.context.random.fraction(), signal, {
        keepAlive: true,
      });
      continue;
    }
    if (await ranToItsEnd(line, leadership, body, signal)) return;
  }
}

/** One term. True: the body returned by itself, so there is nothing left to lead for. */
async function ranToItsEnd(
  line: LineResource,
  leadership: HeldLeadership,
  body: (leadership: Leadership) => void | Promise<void>,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { lease } = leadership;
  const stop = (): void => lease.interrupt(signal?.reason);
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted === true) stop();
  // A leader may do nothing but wait to be told; a process that leads must not end for that.
  const alive = stayAlive(line.session.context.clock);
  try {
    await line.runUnder(lease, () => {
      const work = (async () => body(leadership))();
      leadership.body = work;
      return work;
    });
    return !lease.signal.aborted;
  } catch (error) {
    // The end of a term, found at its release or passed on by the body. An error of the body's own ends the candidacy.
    const passedOn = lease.signal.aborted && (isAbort(error) || error === lease.signal.reason);
    if (isLeaseholdError(error, "LEASE_LOST") || (passedOn && !isLeaseholdError(error, "CLOSED")))
      return false;
    throw error;
  } finally {
    alive.cancel();
    signal?.removeEventListener("abort", stop);
  }
}

/** Never back in terms: a look that was overtaken by a later one shows what is over. */
async function* leaders(
  { session, resource }: LineResource,
  signal: AbortSignal | undefined,
): AsyncGenerator<Leader | null, void, undefined> {
  let last: Leader | null | undefined;
  let highest = -1n;
  for await (const snapshot of observe(session, resource.name, signal)) {
    const leader = leaderOf(snapshot);
    if (leader !== null && leader.term < highest) continue;
    if (leader !== null) highest = leader.term;
    const isSame = last !== undefined && last?.term === leader?.term && last?.value === leader?.value;
    last = leader;
    if (!isSame) yield leader;
  }
}

function leaderOf({ holders }: Snapshot): Leader | null {
  const [holder] = holders;
  if (holder === undefined) return null;
  const content = decodeClaimValue(holder.value);
  return { candidate: content?.candidate ?? "", value: content?.value ?? "", term: holder.ticket };
}
