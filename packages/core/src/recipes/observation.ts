import { ChangeFeed } from "../base/change-feed.ts";
import type { HolderView } from "../contract/lease-store.ts";
import type { Session } from "../lease/session.ts";
import { SharedObservation, type Observed } from "./shared-observation.ts";

/** What each coordinator observes, by resource: all observers of one share its looks. */
const shared = new WeakMap<Session, Map<string, SharedObservation>>();

/**
 * Yields who holds a resource, oldest first: as it is, and again whenever that may have changed. If
 * it changes often, or is yielded slowly, some states are never seen, but the last one is. It ends
 * when `signal` aborts or the coordinator closes.
 *
 * All that observe one resource say the same of it.
 */
export async function* observe(
  session: Session,
  observed: Observed,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly HolderView[], void, undefined> {
  const { context } = session;
  context.assertOpen();
  const { closing } = context;
  const feed = new ChangeFeed(signal === undefined ? closing : AbortSignal.any([closing, signal]));
  if (feed.ended) return;
  let latest: readonly HolderView[] | undefined;
  const leave = observationOf(session, observed).enter((holders) => {
    latest = holders;
    feed.notify();
  });
  try {
    for await (const _ of feed) {
      if (latest === undefined) continue;
      const holders = latest;
      latest = undefined;
      if (feed.ended) return;
      yield holders;
    }
  } finally {
    leave();
  }
}

function observationOf(session: Session, observed: Observed): SharedObservation {
  const { resource } = observed;
  const observations = shared.get(session) ?? new Map<string, SharedObservation>();
  shared.set(session, observations);
  const known = observations.get(resource);
  if (known !== undefined) return known;
  const observation = new SharedObservation(session, observed, () => observations.delete(resource));
  observations.set(resource, observation);
  return observation;
}
