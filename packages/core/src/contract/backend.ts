import type { Clock } from "../base/clock.ts";
import type { Degradation, Restoration } from "./health.ts";
import type { IdempotencyStore } from "./idempotency-store.ts";
import type { LeaseStore } from "./lease-store.ts";

/**
 * A store, as core sees it: claims (`LeaseStore` has the contract), idempotency records
 * (`IdempotencyStore`), and what differs from other stores (`Traits`).
 *
 * Core passes complete, validated arguments. A backend throws a `LeaseholdError`, and only these:
 * `BACKEND_UNAVAILABLE` when it knows that nothing was written, `OUTCOME_UNKNOWN` when a request
 * left and no answer came, `CLOSED`, and `INVALID_ARGUMENT` for a bound that only the store knows.
 */
export interface Backend extends AsyncDisposable {
  /** Short name of the kind of store, for events and messages: `memory`, `redis`, `etcd`. */
  readonly name: string;
  readonly traits: Traits;
  readonly leases: LeaseStore;
  readonly idempotency: IdempotencyStore;
  /** The clock on which this backend stamps `validFrom`. Core counts deadlines on the same one. */
  readonly clock: Clock;
  /**
   * Hears that the store serves worse: once for each degradation that lasts. Returns a function
   * that ends the listening. `Health` keeps count for a backend.
   */
  onDegraded(listener: (degradation: Degradation) => void): () => void;
  /** Hears that a degradation is over, once for each that was told. Ends as `onDegraded` does. */
  onRestored(listener: (restoration: Restoration) => void): () => void;
}

/** What differs between stores. Users see it; core checks requests against it. */
export interface Traits {
  /**
   * `linearizable`: an acknowledged step survives any fault that the store itself survives.
   * `single-primary`: a failover, a flush, or a restart without persistence may forget
   * acknowledged claims; only fencing holds through those.
   */
  readonly consistency: "linearizable" | "single-primary";
  /** The shortest ttl that the store can keep, in milliseconds. A shorter one is refused. */
  readonly minTtlMs: number;
  /** Ttls must be a multiple of this, in milliseconds. */
  readonly ttlStepMs: number;
}
