import { Backoff } from "../base/again.ts";
import { ChangeFeed } from "../base/change-feed.ts";
import { elapsedMs, sleep, type Instant, type Timer } from "../base/clock.ts";
import { Health } from "../contract/health.ts";
import type { HolderView, Look, LookOptions } from "../contract/lease-store.ts";
import { isLeaseholdError, isOutage } from "../errors.ts";
import type { Session } from "../lease/session.ts";
import { LookPace } from "./look-pace.ts";

/** Who looks and hears nothing looks anyway, this often. */
const longestSilenceMs = 30_000;
/** It looks for an expiry this long after the store should have seen it. */
const afterExpiryMs = 10;
/** How many looks at all holders may follow each other at once. */
const mostWholeLooks = 4;
/**
 * The same for looks at the head of a line. They cost little, and there are values that last no
 * longer than it takes to see them: a leader that says its last word and resigns.
 */
const mostHeadLooks = 8;
/** What was pieced together from changes is read anew, this often. */
const wholeEveryMs = 300_000;
const lookTimeoutMs = 5_000;

/** What is to be observed. */
export interface Observed {
  readonly resource: string;
  /** How many holders matter, the oldest ones. Default: all. */
  readonly first?: number | undefined;
}

/**
 * Looks once: the holders, oldest first. It may find that a claim of this very process was
 * superseded.
 */
export async function lookOnce(session: Session, observed: Observed): Promise<readonly HolderView[]> {
  const { holders } = await ask(session, observed, undefined);
  noteHolder(session, observed, holders);
  return holders;
}

function ask(session: Session, { resource, first }: Observed, known: string | undefined): Promise<Look> {
  const options: LookOptions = {
    timeoutMs: lookTimeoutMs,
    ...(first !== undefined && { first }),
    ...(known !== undefined && { known }),
  };
  return session.context.backend.leases.look(resource, options);
}

function noteHolder(session: Session, { resource }: Observed, [holder]: readonly HolderView[]): void {
  if (holder !== undefined) session.sawHolder(resource, holder.ticket);
}

/** One who observes. */
interface Observer {
  /** Takes what was seen. Nothing is handed to it that was looked for before it came. */
  readonly take: (holders: readonly HolderView[]) => void;
  /** A look has begun since it came. */
  isAwaited: boolean;
}

/**
 * One resource, as all of this coordinator's observers see it: one watch and one look for all of
 * them. It begins with the first observer and ends with the last.
 *
 * It looks when the first observer and each later one comes, after each announced change, after an
 * interruption, when the first claim may have died, and now and then. While the store is out of
 * reach it goes on trying, and hands on nothing. That the store is out of reach the backend tells;
 * looks that it refuses are told here, or an observation would stand still in silence.
 *
 * An observation is a pending wait: it keeps the process alive.
 */
export class SharedObservation {
  readonly #session: Session;
  readonly #observed: Observed;
  readonly #onEnd: () => void;
  readonly #observers = new Set<Observer>();
  readonly #end = new AbortController();
  readonly #feed: ChangeFeed;
  readonly #health: Health;
  readonly #stopWatching: () => void;
  #timer: Timer | undefined;
  #version: string | undefined;
  #holders = new Map<string, HolderView>();
  #wholeAt: Instant | undefined;

  /** `onEnd` is called when the last observer leaves. Throws `CLOSED`. */
  constructor(session: Session, observed: Observed, onEnd: () => void) {
    this.#session = session;
    this.#observed = observed;
    this.#onEnd = onEnd;
    this.#feed = new ChangeFeed(this.#end.signal);
    this.#health = healthOf(session);
    this.#stopWatching = session.context.backend.leases.watch(observed.resource, this.#feed.notify);
    session.context.scope(() => void this.#run());
  }

  /** Begins to observe. Returns a function that ends it. */
  enter(take: (holders: readonly HolderView[]) => void): () => void {
    const observer: Observer = { take, isAwaited: false };
    this.#observers.add(observer);
    this.#feed.notify();
    return () => {
      if (!this.#observers.delete(observer) || this.#observers.size > 0) return;
      this.#onEnd();
      this.#timer?.cancel();
      this.#stopWatching();
      this.#end.abort();
    };
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { clock, random } = this.#session.context;
    const backoff = new Backoff({ firstMs: 100, longestMs: 2_000 }, random);
    const isHead = this.#observed.first !== undefined;
    const pace = new LookPace(clock, random, isHead ? mostHeadLooks : mostWholeLooks);
    for await (const _ of this.#feed) {
      this.#timer?.cancel();
      const pauseMs = pace.nextMs();
      if (pauseMs > 0) await sleep(clock, pauseMs, this.#end.signal, { keepAlive: true });
      if (this.#feed.ended) return;
      this.#feed.looking();
      try {
        const { endsInMs, isNews } = await this.#look();
        // What holds a head is seen in full, while others that come and go behind it are not.
        if (isHead && isNews) pace.refund();
        if (this.#feed.ended) return;
        backoff.reset();
        this.#health.restored("refusing");
        this.#lookIn(Math.min(longestSilenceMs, endsInMs + afterExpiryMs));
      } catch (error) {
        if (this.#feed.ended) return;
        this.#tell(error);
        // A read may be repeated for ever.
        this.#lookIn(backoff.nextMs());
      }
    }
  }

  /** Looks, and hands on what was seen. Resolves with how long that lasts if nothing is heard. */
  async #look(): Promise<{ endsInMs: number; isNews: boolean }> {
    const { clock } = this.#session.context;
    const startedAt = clock.now();
    const before = this.#holders;
    const isOld = this.#wholeAt === undefined || elapsedMs(clock, this.#wholeAt) > wholeEveryMs;
    for (const observer of this.#observers) observer.isAwaited = true;
    const seen = await ask(this.#session, this.#observed, isOld ? undefined : this.#version);
    this.#holders = new Map(seen.whole ? [] : before);
    if (seen.whole) this.#wholeAt = startedAt;
    for (const owner of seen.gone) this.#holders.delete(owner);
    for (const holder of seen.holders) this.#holders.set(holder.owner, holder);
    this.#version = seen.version;
    // An owner whose claim died and joined again is another place in the line.
    const holders = [...this.#holders.values()].toSorted((a, b) => (a.ticket < b.ticket ? -1 : 1));
    noteHolder(this.#session, this.#observed, holders);
    for (const observer of [...this.#observers]) if (observer.isAwaited) observer.take(holders);
    return { endsInMs: seen.endsInMs, isNews: isDifferent(before, holders) };
  }

  #tell(error: unknown): void {
    if (isOutage(error) || isLeaseholdError(error, "CLOSED")) return;
    const what = `Looks at ${JSON.stringify(this.#observed.resource)} fail, and go on`;
    this.#health.degraded({ reason: "refusing", message: `${what}: ${String(error)}` });
  }

  #lookIn(ms: number): void {
    this.#timer = this.#session.context.clock.schedule(ms, this.#feed.notify, { keepAlive: true });
  }
}

function isDifferent(before: ReadonlyMap<string, HolderView>, now: readonly HolderView[]): boolean {
  return (
    before.size !== now.length ||
    now.some(({ owner, ticket, sequence }) => {
      const known = before.get(owner);
      return known?.ticket !== ticket || known.sequence !== sequence;
    })
  );
}

/** Tells the coordinator's events. */
function healthOf({ context: { backend, clock, emit } }: Session): Health {
  const health = new Health(clock);
  const { name } = backend;
  health.onDegraded((degradation) => emit({ type: "degraded", backend: name, ...degradation }));
  health.onRestored((restoration) => emit({ type: "restored", backend: name, ...restoration }));
  return health;
}
