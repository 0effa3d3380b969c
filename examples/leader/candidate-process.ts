import { createCoordinator, systemClock, type Leadership } from "@leasehold/core";
import { backendAt } from "../shared/backend-at.ts";
import { electionName, stand, type CandidateEvent } from "./candidate.ts";
import type { CandidateOrders, CrewMessage } from "./process-crew.ts";

const { candidate, place, ttlMs } = JSON.parse(process.argv[2] ?? "") as CandidateOrders;

const dismissal = new AbortController();
const leading: { now?: Leadership } = {};
process.on("message", (message: CrewMessage) => {
  if (message === "end") return dismissal.abort();
  // Within a body it would have to be left floating as well: it waits for the body to end.
  leading.now?.resign().catch(() => undefined);
});
// Without its parent nobody would ever end it.
process.on("disconnect", () => process.exit(1));

const coordinator = createCoordinator({ backend: await backendAt(place), namespace: place.run, ttlMs });
await stand({
  candidate,
  election: coordinator.election(electionName, { candidate, value: `http://${candidate}` }),
  clock: systemClock,
  signal: dismissal.signal,
  report: (event: CandidateEvent) => process.send?.(event),
  onLeading: (leadership) => (leading.now = leadership),
});
await coordinator.close();
process.removeAllListeners("disconnect");
process.disconnect();
