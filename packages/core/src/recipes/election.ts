import { checkFunction, checkName, checkSignal, checkValue } from "../base/arguments.ts";
import type { HolderView } from "../contract/lease-store.ts";
import type { Session } from "../lease/session.ts";
import type { AcquireOptions, Defaults } from "./acquire-options.ts";
import { decodeClaimValue } from "./claim-value.ts";
import { lead } from "./lead.ts";
import { HeldLeadership, type Leadership } from "./leadership.ts";
import { LineResource } from "./line-resource.ts";
import { observe } from "./observation.ts";
import { lookOnce, type Observed } from "./shared-observation.ts";

export interface ElectionOptions {
  /** Who stands: shown to observers. 1 to 512 bytes. */
  readonly candidate: string;
  /** What a leader tells observers at first, such as its address. At most 4 KiB. Default: empty. */
  readonly value?: string;
}

/** Who leads, as an observer sees it. */
export interface Leader {
  readonly candidate: string;
  readonly value: string;
  readonly term: bigint;
}

export type CampaignOptions = Pick<AcquireOptions, "ttlMs" | "waitMs" | "signal" | "metadata">;

/** One leader at a time, in terms that grow. */
export interface Election {
  readonly name: string;
  /**
   * Stands in line until elected, in order of arrival. There is no time limit unless `waitMs` sets
   * one. Rejects as `Lock.acquire` does; as there, a candidate whose place in line died stands
   * again.
   *
   * @example
   * const election = coordinator.election("scheduler", { candidate: "host-7" });
   * await using leadership = await election.campaign();
   */
  campaign(options?: CampaignOptions): Promise<Leadership>;
  /**
   * Campaigns, runs `body` while leading, and campaigns again whenever the leadership was lost or
   * resigned. At the end of a term its signal aborts, the body is awaited, and only then does the
   * next campaign begin. A body that ignores its signal is reported as `stuck`; its successor waits
   * for it, or for its ttl. The process stays alive while it leads.
   *
   * Resolves when the body returns by itself, or when `signal` aborts: by then the body has ended,
   * and the leadership was handed over. Rejects with an error of the body's own, with `CLOSED`, or
   * as `campaign` does. (It does not reject when it was evicted from the line: it stands again.)
   *
   * @example
   * await election.lead(
   *   async ({ signal, term }) => {
   *     while (!signal.aborted) await runDueJobs(term);
   *   },
   *   { signal: shutdown },
   * );
   */
  lead(body: (leadership: Leadership) => void | Promise<void>, options?: CampaignOptions): Promise<void>;
  /**
   * Who leads now, or null. One round trip. Rejects with `BACKEND_UNAVAILABLE`, `OUTCOME_UNKNOWN`
   * or `CLOSED`.
   */
  leader(): Promise<Leader | null>;
  /**
   * Who leads, from now on: first as it is, then each change, vacancies (null) included. Terms
   * never go back. Of one term, each value that lasts longer than a push is seen, or longer than
   * 100 ms while many candidates come and go. It goes on through outages of the store. It ends when
   * `signal` aborts or the coordinator closes.
   *
   * A leadership of this very process is lost at once when a higher term is seen.
   *
   * @example
   * for await (const leader of election.observe({ signal })) route(leader?.value);
   */
  observe(options?: { readonly signal?: AbortSignal }): AsyncIterable<Leader | null>;
}

/**
 * An election is a line of capacity 1, whose claims say who stands and with what value. The head of
 * the line leads, and its ticket is the term.
 */
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
    // The clock is read once: what the claim says of itself stays beside all that it proclaims.
    const sinceMs = session.context.clock.now().wallMs;
    const content = { candidate, metadata, label: defaults.label, sinceMs };
    const lease = await line.acquire({ weight: 1, candidate, value, sinceMs }, campaignOptions);
    return new HeldLeadership(line, lease, content);
  };
  return {
    name,
    campaign,
    lead: async (body, leadOptions = {}) =>
      lead(line, () => campaign(leadOptions), checkFunction("body", body), leadOptions.signal),
    leader: async () => {
      session.context.assertOpen();
      return leaderOf(await lookOnce(session, headOf(line)));
    },
    observe: ({ signal } = {}) => leaders(line, checkSignal(signal)),
  };
}

/** Terms never go back: a look that a later one has overtaken shows what is over. */
async function* leaders(
  line: LineResource,
  signal: AbortSignal | undefined,
): AsyncGenerator<Leader | null, void, undefined> {
  let last: Leader | null | undefined;
  let highest = -1n;
  for await (const holders of observe(line.session, headOf(line), signal)) {
    const leader = leaderOf(holders);
    if (leader !== null && leader.term < highest) continue;
    if (leader !== null) highest = leader.term;
    const isSame = last !== undefined && last?.term === leader?.term && last?.value === leader?.value;
    last = leader;
    if (!isSame) yield leader;
  }
}

/** Of an election only the head of the line matters, however many stand. */
function headOf({ resource }: LineResource): Observed {
  return { resource: resource.name, first: 1 };
}

function leaderOf([holder]: readonly HolderView[]): Leader | null {
  if (holder === undefined) return null;
  const content = decodeClaimValue(holder.value);
  return { candidate: content?.candidate ?? "", value: content?.value ?? "", term: holder.ticket };
}
