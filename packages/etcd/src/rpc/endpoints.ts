import { invalidArgument, type Clock, type Random } from "@leasehold/core";
import { Etcd3, type IOptions } from "etcd3";
import { closeClient } from "./close-client.ts";
import type { EtcdClient, EtcdCredentials, EtcdSource } from "../options.ts";
import { Credentials } from "./credentials.ts";
import { parseHosts, type Host } from "./hosts.ts";
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
 * send every third call to a dead member. The order is drawn, since all processes of a service have
 * the same list: else all would ask its first member, and all move on to the same one.
 */
export class Endpoints {
  /** Whether the clients are ours: to tune, to replace and to close. */
  readonly ours: boolean;
  readonly #members: Endpoint[];
  readonly #connect: (url: string) => Etcd3;
  readonly #credentials: Credentials | undefined;
  readonly #clock: Clock;
  readonly #replaced = new Set<(endpoint: Endpoint) => void>();
  #current = 0;
  #closed = false;

  constructor(source: EtcdSource | EtcdClient, clock: Clock, random: Random) {
    if (typeof source !== "object" || source === null)
      throw invalidArgument('etcdBackend takes { hosts: "http://host:2379" }, or a client of etcd3.');
    this.ours = !isEtcd3(source);
    this.#clock = clock;
    if (isEtcd3(source)) {
      // A namespace has all that we call; only its type does not say so.
      this.#connect = () => source as Etcd3;
      this.#members = [this.#member("", givenHosts(source))];
      return;
    }
    const hosts = parseHosts(source.hosts);
    refuseInClear(source, hosts);
    const credentials = source.credentials === undefined ? undefined : new Credentials(source.credentials);
    this.#credentials = credentials;
    this.#connect = (url) => connect(url, credentials?.current());
    this.#members = shuffled(hosts, random).map(({ url, address }) => this.#member(url, address));
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
    if (this.#credentials?.haveChanged() === true)
      for (const member of [...this.#members]) this.replace(member);
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
function isEtcd3(source: EtcdSource | EtcdClient): source is EtcdClient {
  return "kv" in source && "leaseClient" in source && "watchClient" in source;
}

/** Where a client that was handed over leads, as far as it can be seen, without any credentials. */
function givenHosts(client: object): string {
  const { hosts } = (client as { options?: { hosts?: unknown } }).options ?? {};
  const known = [hosts].flat().filter((host) => typeof host === "string");
  const bare = known.map((host) => host.replace(/^[a-z]+:\/\//i, "").replace(/^.*@/, ""));
  return bare.length > 0 ? bare.join(", ") : "the given client";
}

/** A password, or what it buys, must not travel where others can read it. */
function refuseInClear({ auth, credentials, plainTextAuth }: EtcdSource, hosts: readonly Host[]): void {
  const inClear = hosts.filter(({ secure }) => !secure);
  if (inClear.length === 0) return;
  if (credentials !== undefined)
    throw invalidArgument("hosts says http, and credentials are for TLS. Say https, or leave them out.");
  if (auth !== undefined && plainTextAuth !== true && inClear.some(({ loopback }) => !loopback))
    throw invalidArgument(
      "auth would be sent in clear: hosts says http. Say https, or set plainTextAuth: true to allow it.",
    );
}

/** Fisher and Yates. */
function shuffled<T>(items: readonly T[], random: Random): T[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last -= 1) {
    const at = Math.floor(random.fraction() * (last + 1));
    const [a, b] = [result[last], result[at]];
    if (a !== undefined && b !== undefined) [result[last], result[at]] = [b, a];
  }
  return result;
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

function connect(host: string, credentials: EtcdCredentials | undefined): Etcd3 {
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
      // What etcd sends is bounded by etcd. gRPC's default, 4 MiB, would fail the answer to a
      // question that is asked again for ever.
      "grpc.max_receive_message_length": -1,
      "grpc.service_config_disable_resolution": 1,
      // gRPC shares a connection among clients with equal options. A replaced one must really be
      // another.
      "leasehold.connection": ++connections,
    },
  };
  if (credentials !== undefined) options.credentials = { ...credentials };
  return new Etcd3(options);
}
