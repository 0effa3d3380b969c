import { Backoff } from "../base/again.ts";
import { ChangeFeed } from "../base/change-feed.ts";
import type { Timer } from "../base/clock.ts";
import type { Snapshot } from "../contract/lease-store.ts";
import type { Session } from "../lease/session.ts";

/** An observer that hears nothing looks anyway, this often. */
const longestSilenceMs = 30_000;
/** An observer looks for an expiry this long after the store should have seen it. */
const afterExpiryMs = 10;
const inspectTimeoutMs = 5_000;

/** Looks at a resource once. It may find that a claim of this very process was superseded. */
export async function look(session: Session, resource: string): Promise<Snapshot> {
  const { leases } = session.context.backend;
  const snapshot = await leases.inspect(resource, { timeoutMs: inspectTimeoutMs });
  const [holder] = snapshot.holders;
  if (holder !== undefined) session.sawHolder(resource, holder.ticket);
  return snapshot;
}

/**
 * Yields what a resource looks like, whenever that may have changed: after each announced change,
 * after an interruption, and now and then. No store announces an expiry, so it also looks when the
 * earliest expiry that was seen has passed. While the store is out of reach it goes on trying, and
 * yields nothing. It ends when `signal` aborts or the coordinator closes.
 *
 * A pending observation is a pending wait: it keeps the process alive.
 */
export async function* observe(
  session: Session,
  resource: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Snapshot, void, undefined> {
  const { context } = session;
  context.assertOpen();
  const { backend, clock, closing, random } = context;
  const feed = new ChangeFeed(signal === undefined ? closing : AbortSignal.any([closing, signal]));
  const stopWatching = backend.leases.watch(resource, feed.notify);
  const backoff = new Backoff({ firstMs: 100, longestMs: 2_000 }, random);
  const lookIn = (ms: number): Timer => clock.schedule(ms, feed.notify, { keepAlive: true });
  let timer: Timer | null = null;
  try {
    for await (const _ of feed) {
      timer?.cancel();
      let snapshot: Snapshot;
      try {
        snapshot = await look(session, resource);
        backoff.reset();
      } catch {
        // A read may be repeated for ever; the backend has reported the outage.
        timer = lookIn(backoff.nextMs());
        continue;
      }
      const expiries = [...snapshot.holders, ...snapshot.line].map(
        ({ remainingMs }) => remainingMs + afterExpiryMs,
      );
      timer = lookIn(Math.min(longestSilenceMs, ...expiries));
      if (feed.ended) return;
      yield snapshot;
    }
  } finally {
    timer?.cancel();
    stopWatching();
  }
}
