import type { Leader } from "@leasehold/core";
import { checkTokenOrder, findOverlaps } from "@leasehold/testing";
import type { Row } from "../shared/summary.ts";
import type { CandidateEvent } from "./candidate.ts";

/** What happened. */
export interface History {
  /** In order of time. */
  readonly events: readonly CandidateEvent[];
  /** By an observer. */
  readonly seen: readonly (Leader | null)[];
  readonly takeoverMs: number;
  readonly handOverMs: number;
}

/** Holds the history against what an election promises. */
export function summarise({ events, seen, takeoverMs, handOverMs }: History, ttlMs: number): readonly Row[] {
  const terms = events.flatMap(({ kind, term }) => (kind === "elected" ? [term] : []));
  const looks = events.filter(({ kind }) => kind === "leads");
  const points = looks.map(({ term, atMs }) => ({ token: term, atNs: BigInt(Math.round(atMs * 1e6)) }));
  const { overlaps } = findOverlaps(points);
  const growing = checkTokenOrder(terms).length === 0;
  const observed = seen.flatMap((leader) => (leader === null ? [] : [leader.term]));
  // It may see more: a candidate that was granted while it withdrew led for a moment in the store,
  // and nowhere else.
  const sawAll = observed.filter((term) => terms.includes(term)).join() === terms.join();
  const sawTheEnd = seen.at(-1) === null;
  return [
    {
      what: "terms strictly increasing",
      found: `${growing ? "yes" : "NO"} (${terms.length})`,
      ok: growing && terms.length === 3,
    },
    {
      what: "one leader at a time",
      found: `${overlaps === 0 ? "yes" : "NO"} (${looks.length} looks)`,
      ok: overlaps === 0 && looks.length > 0,
    },
    {
      what: "observer saw every term",
      found: sawAll && sawTheEnd ? "yes, in order, and the vacancy at the end" : "NO",
      ok: sawAll && sawTheEnd,
    },
    {
      what: "takeover after the kill",
      found: `${(takeoverMs / 1000).toFixed(2)} s, of ${(2 * ttlMs) / 1000} s at most`,
      ok: takeoverMs <= 2 * ttlMs,
    },
    {
      what: "hand-over after the resign",
      found: `${handOverMs.toFixed(1)} ms: ${handOverMs < ttlMs ? "by a push" : "NOT before the ttl"}`,
      ok: handOverMs < ttlMs,
    },
  ];
}
