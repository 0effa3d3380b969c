import type { Row } from "../shared/summary.ts";
import type { Arrival } from "./dependency.ts";
import type { Job, NodeEvent } from "./node.ts";

export type Told = NodeEvent & { readonly node: string };

/** What happened. */
export interface History {
  /** In order of time. */
  readonly events: readonly Told[];
  /** What reached the dependency. */
  readonly arrivals: readonly Arrival[];
  /** When the dependency began to fail for everybody. */
  readonly downAtMs: number;
  /** Whether nobody voted any more in the end. */
  readonly isLineEmpty: boolean;
}

const opens = (event: Told): boolean => event.kind === "fleet" && event.to === "open";
const closes = (event: Told): boolean => event.kind === "fleet" && event.to === "closed";

/** Holds the history against what a shared breaker promises. */
export function summarise(history: History, { nodes, share, pollMs }: Job, ttlMs: number): readonly Row[] {
  const limitMs = pollMs + ttlMs;
  const { events, arrivals, downAtMs, isLineEmpty } = history;
  const after = events.filter(({ atMs }) => atMs >= downAtMs);
  const early = events.filter((event) => event.atMs < downAtMs && event.kind === "fleet");
  const firstOfEach = (isIt: (event: Told) => boolean): number[] =>
    nodes.flatMap((node) => after.find((event) => event.node === node && isIt(event))?.atMs ?? []);
  const opened = firstOfEach(opens);
  const openAtMs = Math.max(...opened);
  const closed = firstOfEach(closes);
  const votes = after.flatMap(({ kind, atMs }) => (kind === "voted" ? [atMs] : []));
  const openedMs = openAtMs - (votes[Math.ceil(share * nodes.length) - 1] ?? Infinity);
  const probes = after.filter((event) => event.kind === "probed");
  const success = probes.find((event) => event.kind === "probed" && event.outcome === "success");
  const closedMs = Math.max(...closed) - (success?.atMs ?? Infinity);

  // All that was sent between the last opening and the first closing.
  const closeAtMs = Math.min(...closed);
  const guarded = arrivals.filter(({ atMs }) => atMs > openAtMs && atMs < closeAtMs);
  const atOnce = guarded.map(
    ({ atMs }) => guarded.filter((one) => one.atMs <= atMs && atMs < one.endMs).length,
  );
  const most = Math.max(0, ...atOnce);
  return [
    {
      what: "one sick node",
      found: early.length === 0 ? "the others were not disturbed" : "OPENED THE CIRCUIT FOR ALL",
      ok: early.length === 0 && events.some(({ kind, atMs }) => kind === "voted" && atMs < downAtMs),
    },
    {
      what: "open for all, by a quorum",
      found: `${openedMs.toFixed(0)} ms after the deciding vote, of ${limitMs} ms at most`,
      ok: opened.length === nodes.length && openedMs <= limitMs,
    },
    {
      what: "sent while not closed",
      found: `${guarded.length} calls of all nodes, ${probes.length} probes`,
      ok: guarded.length === probes.length && probes.length >= 2,
    },
    { what: "probes at once", found: `${most} at most`, ok: most === 1 },
    {
      what: "closed for all, by a probe",
      found: `${closedMs.toFixed(0)} ms after it, of ${limitMs} ms at most`,
      ok: closed.length === nodes.length && closedMs <= limitMs,
    },
    { what: "votes taken back", found: isLineEmpty ? "all" : "NOT all", ok: isLineEmpty },
  ];
}
