import type { CircuitChange, CircuitState } from "../circuit/circuit-breaker.ts";
import type { Failure } from "./policy.ts";
import type { GivingUp } from "../retry/retry-outcome.ts";

/** What a retry did. Published on the channel `leasehold:retry`. A call that succeeds at once is no event. */
export type RetryEvent =
  /** An attempt failed, and another one follows in `delayMs`. */
  | {
      readonly type: "retrying";
      /** The policy's name. Low cardinality: fit for a metric's label. */
      readonly retry: string;
      /** Which attempt has failed; 1 is the first call. */
      readonly attempt: number;
      readonly delayMs: number;
      readonly failure: Failure;
    }
  /** The call fails with what its last attempt failed with. */
  | {
      readonly type: "gave-up";
      readonly retry: string;
      readonly attempts: number;
      readonly reason: GivingUp;
      readonly failure: Failure;
    };

interface CircuitEventBase {
  /** The circuit's name; of a registry's circuit the registry's. Low cardinality: fit for a metric's label. */
  readonly circuit: string;
  /** The key in the registry; absent for a circuit of its own. As many as the caller has keys: no label. */
  readonly key?: string;
}

/** What a circuit did. Published on the channel `leasehold:circuit`. */
export type CircuitEvent =
  | (CircuitEventBase & CircuitChange & { readonly type: "changed" })
  /** A call was refused: nothing was sent. */
  | (CircuitEventBase & {
      readonly type: "rejected";
      readonly state: CircuitState;
      readonly era: number;
      readonly retryAfterMs: number;
    });
