export { testBackend } from "./test-backend.ts";
export type { Runner } from "./test-backend.ts";
export type { Case, Need } from "./case.ts";
export type { Harness, Link, StoreCall, StoreControl } from "./harness.ts";
export { Stage } from "./stage.ts";
export type { Actor, Process } from "./stage.ts";
export { SimClock } from "./sim-clock.ts";
export { withFaults } from "./with-faults.ts";
export { startFaultProxy } from "./fault-proxy.ts";
export type { CutOptions, FaultProxy, FaultProxyTap, HoldOptions } from "./fault-proxy.ts";
export type { Direction, FlowCounters } from "./fault-flow.ts";
export { endsHttp2Response } from "./http2-response.ts";
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
