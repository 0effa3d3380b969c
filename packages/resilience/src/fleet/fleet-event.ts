import type { Verdict } from "../circuit/verdict.ts";
import type { Role } from "./quorum.ts";
import type { SharedState } from "./proclamation.ts";

interface FleetEventBase {
  /** The circuit's name. Low cardinality: fit for a metric's label. */
  readonly circuit: string;
  readonly node: string;
}

/**
 * What happened between a shared circuit's nodes, as this one sees it. Published on the channel `leasehold:circuit`, beside
 * the `changed` and `rejected` of the node's own breaker.
 */
export type FleetEvent =
  /** This node stands in the circuit's line: its own breaker opened (`vote`), or it offers to probe (`standby`). */
  | (FleetEventBase & { readonly type: "voted"; readonly role: Role })
  /** It stands there no longer. */
  | (FleetEventBase & { readonly type: "withdrawn" })
  /** It leads from now on: counts the votes, and probes. */
  | (FleetEventBase & { readonly type: "leading"; readonly term: bigint })
  /** It knows another state of the fleet's circuit than before. `attempt`: how many times it has opened in a row. */
  | (FleetEventBase & {
      readonly type: "fleet-changed";
      readonly from: SharedState;
      readonly to: SharedState;
      readonly attempt: number;
      readonly reason: string;
    })
  /** It has probed for the fleet. `fenced`: somebody else may lead by now, so what it found changes nothing. */
  | (FleetEventBase & {
      readonly type: "probed";
      readonly outcome: Verdict | "fenced";
      readonly term: bigint;
    })
  /**
   * The store does not answer, or says what cannot be read, or `nodes` failed. Sent once until `restored`. No call fails for
   * that: each node's own breaker goes on.
   */
  | (FleetEventBase & {
      readonly type: "degraded";
      readonly what: Trouble;
      readonly error: Error;
    })
  | (FleetEventBase & { readonly type: "restored"; readonly what: Trouble });

/** `line`: the votes and the leader's word; `orders`: isolations and resets; `nodes`: how many there are. */
export type Trouble = "line" | "orders" | "nodes";
