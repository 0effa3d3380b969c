import {
  Health,
  invalidArgument,
  systemClock,
  systemRandom,
  type Backend,
  type Clock,
  type Degradation,
  type IdempotencyStore,
  type LeaseStore,
  type Restoration,
  type Traits,
} from "@leasehold/core";
import { Calls } from "./rpc/calls.ts";
import { WatchHub } from "./rpc/watch-hub.ts";
import { ClaimKeys } from "./format/claim-keys.ts";
import { Endpoints } from "./rpc/endpoints.ts";
import { EtcdLeaseStore } from "./lease-store.ts";
import { EtcdIdempotencyStore } from "./idempotency-store.ts";
import { namespaceOf } from "./rpc/namespace.ts";
import type { EtcdBackendOptions, EtcdClient, EtcdSource } from "./options.ts";

/**
 * What an etcd with default timing grants at least: 1.5 times its election timeout of 1 s, rounded
 * up.
 */
const defaultMinTtlMs = 2_000;
const closeTimeoutMs = 500;

/**
 * Leasehold on etcd 3.4 or later.
 *
 * Given hosts, it makes a client of its own, with safe settings. Given an `Etcd3`, it uses that
 * client's connections and never closes it; every request still has a deadline of ours and leaves
 * at most once, whatever retries and breakers the client was made with. Set `grpcOptions: {
 * "grpc.keepalive_time_ms": 10_000 }` in such a client, or it will go on using a connection that
 * has silently died. Interceptors of such a client do not see our requests.
 *
 * Fencing tokens are revisions of the store. They compare within one cluster, and a restore must
 * raise them (`--bump-revision`), as etcd's manual says.
 *
 * Throws `INVALID_ARGUMENT` for a bad option.
 */
export function etcdBackend(source: EtcdSource | EtcdClient, options: EtcdBackendOptions = {}): Backend {
  return new EtcdBackend(source, options);
}

class EtcdBackend implements Backend {
  readonly name: string = "etcd";
  readonly traits: Traits;
  readonly clock: Clock;
  readonly leases: LeaseStore;
  readonly idempotency: IdempotencyStore;
  readonly #store: EtcdLeaseStore;
  readonly #records: EtcdIdempotencyStore;
  readonly #calls: Calls;
  readonly #hub: WatchHub;
  readonly #endpoints: Endpoints;
  readonly #health: Health;
  #closing: Promise<void> | undefined;

  constructor(source: EtcdSource | EtcdClient, options: EtcdBackendOptions) {
    const {
      prefix = "leasehold",
      clock = systemClock,
      random = systemRandom,
      minTtlMs = defaultMinTtlMs,
    } = options;
    if (!Number.isInteger(minTtlMs / 1000) || minTtlMs < 1000)
      throw invalidArgument(`minTtlMs must be a multiple of 1000, and at least 1000; got ${minTtlMs}.`);
    if (prefix === "" || prefix.endsWith("/"))
      throw invalidArgument(`prefix must not be empty or end in "/"; got ${JSON.stringify(prefix)}.`);
    this.traits = { consistency: "linearizable", minTtlMs, ttlStepMs: 1000 };
    this.clock = clock;
    this.#health = new Health(clock);
    this.#endpoints = new Endpoints(source, clock, random);
    const keyPrefix = namespaceOf(source) + prefix;
    const auth = "hosts" in source ? source.auth : undefined;
    const probe = Buffer.from(`${keyPrefix}/~`);
    this.#calls = new Calls(this.#endpoints, { clock, health: this.#health, auth, probe });
    this.#hub = new WatchHub(this.#calls, random);
    this.#store = new EtcdLeaseStore(this.#calls, this.#hub, new ClaimKeys(keyPrefix, random.hex(8)), random);
    this.leases = this.#store;
    const { sharedLeases: leases, sweeper } = this.#store;
    const foundation = { calls: this.#calls, hub: this.#hub, leases, sweeper, random };
    this.#records = new EtcdIdempotencyStore(keyPrefix, foundation);
    this.idempotency = this.#records;
  }

  onDegraded(listener: (degradation: Degradation) => void): () => void {
    return this.#health.onDegraded(listener);
  }

  onRestored(listener: (restoration: Restoration) => void): () => void {
    return this.#health.onRestored(listener);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  /**
   * Leases end first, which needs the connections; then whatever still waits for an answer; then
   * the connections.
   */
  async #close(): Promise<void> {
    this.#records.close();
    await this.#store.close(closeTimeoutMs, () => this.#records.leasesInUse);
    await this.#hub.close();
    this.#calls.close();
    this.#endpoints.close();
    this.#health.close();
  }
}
