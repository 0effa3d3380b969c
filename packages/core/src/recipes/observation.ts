import type { Snapshot } from "../contract/backend.ts";
import { ChangeFeed } from "../base/change-feed.ts";
import type { Timer } from "../base/clock.ts";
import type { Session } from "../lease/session.ts";

/** An observer that heard nothing looks anyway, this often. */
const longestSilenceMs = 30_000;
/** An expiry is looked for this long after the store should have seen it. */
const afterExpiryMs = 10;
const inspectTimeoutMs = 5_000;

/** One look at a resource. Everybody who looks may find that a claim of this very process was superseded. */
export async function look(session: Session, resource: string): Promise<Snapshot> {
  const snapshot = await session.backend.leases.inspect(resource, { timeoutMs: inspectTimeoutMs });
  const [holder] = snapshot.holders;
  if (holder !== undefined) session.sawHolder(resource, holder.ticket);
  return snapshot;
}

/**
 * What a resource looks like, whenever that may have changed: after each announced change, when the earliest expiry that was
 * seen has passed (which no store announces), after an interruption, and now and then. Ends when `signal` aborts or the
 * coordinator closes; while the store is out of reach it goes on trying, and yields nothing.
 *
 * A pending observation is a pending wait: it keeps the process alive.
 */
export async function* observe(
  session: Session,
  resource: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Snapshot, void, undefined> {
  session.assertOpen();
  const stop = new AbortController();
  const ended = AbortSignal.any([stop.signal, session.closing, ...(signal === undefined ? [] : [signal])]);
  const feed = new ChangeFeed(ended);
  // A watch is a hint: without it the observer still looks at every expiry, and now and then.
  const pump = forward(session.backend.leases.watch(resource, ended), feed).catch(() => undefined);
  let timer: Timer | null = null;
  let failures = 0;
  try {
    for await (const _ of feed) {
      timer?.cancel();
      const lookAgain = (ms: number): Timer => session.clock.schedule(ms, feed.notify, { keepAlive: true });
      let snapshot: Snapshot;
      try {
        snapshot = await look(session, resource);
        failures = 0;
      } catch {
        // Reads may be repeated for ever; the backend has told of the outage.
        timer = lookAgain(Math.min(100 * 2 ** failures++, 2_000) * (0.5 + session.random.fraction()));
        continue;
      }
      const expiries = [...snapshot.holders, ...snapshot.line].map(
        ({ remainingMs }) => remainingMs + afterExpiryMs,
      );
      timer = lookAgain(Math.min(longestSilenceMs, ...expiries));
      if (ended.aborted) return;
      yield snapshot;
    }
  } finally {
    timer?.cancel();
    stop.abort();
    await pump;
  }
}

async function forward(changes: AsyncIterable<void>, feed: ChangeFeed): Promise<void> {
  for await (const _ of changes) feed.notify();
}
