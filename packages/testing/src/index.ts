export { testBackend } from "./kit/test-backend.ts";
export type { Runner } from "./kit/test-backend.ts";
export type { Case, Need } from "./kit/case.ts";
export type { Harness, Link, StoreCall, StoreControl } from "./kit/harness.ts";
export { Fixture } from "./kit/fixture.ts";
export type { Peer, Process } from "./kit/fixture.ts";
export { SimClock } from "./sim-clock.ts";
export { withFaults } from "./kit/with-faults.ts";
export { startFaultProxy } from "./faults/proxy.ts";
export type { CutOptions, FaultProxy, FaultProxyTap, HoldOptions } from "./faults/proxy.ts";
export type { Direction, FlowCounters } from "./faults/flow.ts";
export { endsHttp2Response } from "./faults/http2-response.ts";
export { checkFencedExclusion, checkTokenOrder, findOverlaps, jainIndex } from "./history.ts";
export type {
  FencedAttempt,
  FencedExclusion,
  Overlap,
  OverlapReport,
  PointClaim,
  StaleAcceptance,
  TokenRegression,
} from "./history.ts";
