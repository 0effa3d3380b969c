import { invalidArgument, type Clock } from "@leasehold/core";
import { Etcd3, type IOptions } from "etcd3";
import { closeClient } from "./close-client.ts";
import type { EtcdSource } from "../options.ts";
import { Pulse } from "./pulse.ts";

/** One member of the cluster, and the client through which it is reached at present. */
export interface Endpoint {
  readonly url: string;
  /** `host:port`, for messages. */
  readonly host: string;
  readonly client: Etcd3;
  /** What the connection of that client was asked, and what came. */
  readonly pulse: Pulse;
}

/**
 * The members, and which of them is asked. One at a time, and the same until it fails: a connection
 * per member would cost three times the sockets, and etcd3's own choice (at random, per call) would
 * send every third call to a dead member.
 */
export class Endpoints {
  /** Whether the clients are ours: to tune, to replace and to close. */
  readonly ours: boolean;
  readonly #members: Endpoint[];
  readonly #connect: (url: string) => Etcd3;
  readonly #clock: Clock;
  readonly #replaced = new Set<(endpoint: Endpoint) => void>();
  #current = 0;
  #closed = false;

  constructor(source: EtcdSource | Etcd3, clock: Clock) {
    this.ours = !isEtcd3(source);
    this.#clock = clock;
    if (isEtcd3(source)) {
      this.#connect = () => source;
      this.#members = [this.#member("", givenHosts(source))];
      return;
    }
    const hosts = typeof source.hosts === "string" ? [source.hosts] : source.hosts;
    if (!Array.isArray(hosts) || hosts.length === 0 || hosts.includes(""))
      throw invalidArgument('hosts must name at least one member, as "http://host:port".');
    this.#connect = (url) => connect(url, source);
    this.#members = hosts.map((url) => this.#member(url, address(url)));
  }

  get size(): number {
    return this.#members.length;
  }

  get current(): Endpoint {
    const member = this.#members[this.#current];
    if (member === undefined) throw new RangeError("an etcd without members");
    return member;
  }

  /** The endpoint did not serve: the next call asks another member, if there is one. */
  moveOn(from: Endpoint): void {
    if (this.#members[this.#current] === from) this.#current = (this.#current + 1) % this.#members.length;
  }

  /** Whether calls still go to this very client. */
  has(endpoint: Endpoint): boolean {
    return this.#members.includes(endpoint);
  }

  /**
   * The connection was silent for too long: it may be half-open, and gRPC would go on using it
   * until its own ping fails. The next call gets a new connection. Calls on the old one may still
   * end by themselves. A client that we were handed is not ours to replace; its
   * `grpc.keepalive_time_ms` decides how long a dead connection is used.
   */
  replace(endpoint: Endpoint): void {
    const index = this.#members.indexOf(endpoint);
    if (!this.ours || this.#closed || index < 0) return;
    this.#members[index] = this.#member(endpoint.url, endpoint.host);
    closeClient(endpoint.client);
    for (const listener of this.#replaced) listener(endpoint);
  }

  /**
   * Hears of every endpoint whose connection was given up. Returns a function that ends the
   * listening.
   */
  onReplaced(listener: (endpoint: Endpoint) => void): () => void {
    this.#replaced.add(listener);
    return () => this.#replaced.delete(listener);
  }

  close(): void {
    this.#closed = true;
    if (this.ours) for (const { client } of this.#members) closeClient(client);
  }

  #member(url: string, host: string): Endpoint {
    return { url, host, client: this.#connect(url), pulse: new Pulse(this.#clock) };
  }
}

/** By shape: an application may have a copy of etcd3 of its own. */
function isEtcd3(source: EtcdSource | Etcd3): source is Etcd3 {
  return "kv" in source && "leaseClient" in source && "watchClient" in source;
}

/** Where a client that was handed over leads, as far as it can be seen. */
function givenHosts(client: Etcd3): string {
  const { hosts } = (client as unknown as { options?: { hosts?: string | readonly string[] } }).options ?? {};
  const known = (typeof hosts === "string" ? [hosts] : Array.isArray(hosts) ? hosts : []).map(String);
  return known.length > 0 ? known.map(address).join(", ") : "the given client";
}

function address(host: string): string {
  return host.replace(/^[a-z]+:\/\//i, "").replace(/^.*@/, "");
}

/**
 * Structural, so that no version of cockatiel is involved. It must be async: etcd3 calls `.catch`
 * on what it returns.
 */
const noPolicy = {
  execute: async <T>(call: (context: { signal: AbortSignal }) => T | Promise<T>): Promise<T> =>
    call({ signal: never }),
  onSuccess: () => ({ dispose: () => {} }),
  onFailure: () => ({ dispose: () => {} }),
} as unknown as NonNullable<NonNullable<IOptions["faultHandling"]>["global"]>;
const never: AbortSignal = new AbortController().signal;

let connections = 0;

function connect(host: string, { credentials }: EtcdSource): Etcd3 {
  const options: IOptions = {
    hosts: host,
    faultHandling: { global: noPolicy, host: () => noPolicy },
    grpcOptions: {
      // A watch whose peer has vanished without a word. Not below 5 s: etcd ends connections that
      // ping more often.
      "grpc.keepalive_time_ms": 6_000,
      "grpc.keepalive_timeout_ms": 2_000,
      // gRPC's default lets up to two minutes pass after an outage before it looks again.
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 500,
      "grpc.enable_retries": 0,
      "grpc.service_config_disable_resolution": 1,
      // gRPC shares a connection among clients with equal options. A replaced one must really be
      // another.
      "leasehold.connection": ++connections,
    },
  };
  if (credentials !== undefined) options.credentials = { ...credentials };
  return new Etcd3(options);
}
