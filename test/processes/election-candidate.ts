import { setTimeout as sleep } from "node:timers/promises";

import { createCoordinator, isLeaseholdError, type Leadership } from "@leasehold/core";

import { FencedClient } from "./fenced-client.ts";
import { openBackend, type StoreSpec } from "./store-spec.ts";
import { nextCommand, reportTroubles, say, workerArgs } from "./worker-io.ts";

export interface CandidateArgs {
  readonly store: StoreSpec;
  readonly namespace: string;
  readonly ttlMs: number;
  readonly candidate: string;
  /** Of the `FencedResource`. */
  readonly port: number;
}

const workMs = 10;

// Stands for election, and writes to a guarded resource while it leads: see election-scenario.ts.
// Nobody listens to its events: no loss and no outage may become an unhandled rejection by that.
reportTroubles();
const { store, namespace, ttlMs, candidate, port } = workerArgs<CandidateArgs>();
const coordinator = createCoordinator({ backend: await openBackend(store), namespace, ttlMs });
const election = coordinator.election("shared", { candidate, value: `http://${candidate}` });
const resource = new FencedClient(port);
const stop = new AbortController();
const leading: { now?: Leadership } = {};

function look(leadership: Leadership): boolean {
  const atNs = process.hrtime.bigint();
  const held = leadership.isHeld();
  if (held) say("held", { term: leadership.term, atNs });
  return held;
}

/**
 * Writes whatever its look says, as a process does that was stopped right after the look. The
 * resource must refuse.
 */
async function serve(leadership: Leadership): Promise<void> {
  const { term, signal } = leadership;
  // Stopped for a whole ttl before it could look: then it never led, as far as anybody can tell.
  if (!look(leadership)) return;
  leading.now = leadership;
  say("elected", { term, candidate, atNs: process.hrtime.bigint() });
  try {
    let value = await resource.claim(term);
    while (!signal.aborted) {
      look(leadership);
      await resource.write(term, (value += 1));
      await sleep(workMs);
    }
    if (isLeaseholdError(signal.reason)) await resource.write(term, value + 1);
  } catch (error) {
    if (!isLeaseholdError(error, "STALE_TOKEN")) throw error;
    say("refused", { term });
  }
  say("stepped down", { term, reason: String((signal.reason as Error | undefined)?.message) });
}

say("ready");
await nextCommand();
const candidacy = election.lead(serve, { signal: stop.signal });
for (let command = await nextCommand(); command === "resign"; command = await nextCommand()) {
  const atNs = process.hrtime.bigint();
  const { now } = leading;
  say("resigned", { term: now?.term, atNs, outcome: await now?.resign() });
}
stop.abort();
await candidacy;
resource.close();
await coordinator.close();
