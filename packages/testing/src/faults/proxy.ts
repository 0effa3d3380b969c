import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { Direction, FlowCounters, FlowRule } from "./flow.ts";
import { ProxiedConnection, type PendingCut, type ProxyHost } from "./proxied-connection.ts";

/** Options of {@link FaultProxy.hold}. */
export interface HoldOptions {
  /**
   * Holds a connection from its first chunk that matches, e.g. `(c) => c.includes("acquire")`.
   * Default: from any.
   */
  match?: (chunk: Buffer) => boolean;
  /** How many connections are held; those after them pass. Default: all. */
  limit?: number;
}

/** Options of {@link FaultProxy.cutAfterNextRequest}. */
export interface CutOptions {
  /**
   * The request whose reply is lost, seen as one chunk on its way to the server. Default: the next
   * chunk.
   */
  match?: (chunk: Buffer) => boolean;
  /**
   * Which of the server's chunks is the reply, where a protocol says other things in between (for
   * gRPC pass
   * `endsHttp2Response`). All chunks up to it are swallowed. Default: the first one.
   */
  isReply?: (chunk: Buffer) => boolean;
}

/**
 * Sees every chunk as it arrives at the proxy; connections are numbered from 1 in the order they
 * were made.
 */
export type FaultProxyTap = (direction: Direction, chunk: Buffer, connection: number) => void;

/**
 * A TCP proxy on 127.0.0.1 whose faults are switched while it runs. They apply to the connections
 * there are and to new ones. There is no back-pressure: what a slow side does not take stays in
 * memory.
 */
export interface FaultProxy extends AsyncDisposable {
  /** Always 127.0.0.1. */
  readonly host: string;
  readonly port: number;
  /** `scheme://host:port`. */
  url(scheme: string): string;
  /** How many clients are connected: those that neither ended nor reset their side. */
  readonly connections: number;
  /** Bytes by direction, since the start. */
  readonly bytes: Readonly<Record<Direction, Readonly<FlowCounters>>>;
  /**
   * Heals: ends every mode, latency and refusal, delivers what was held back in order, calls off
   * cuts not yet begun, and resets the connections that lost bytes.
   */
  pass(): void;
  /**
   * Drops bytes, FINs and RSTs that way, and what was held; sockets stay open, new ones are
   * accepted. Default: both ways.
   */
  blackhole(direction?: "both" | Direction): void;
  /**
   * Holds bytes (and the FIN or RST behind them) back until `release()` or `pass()`. Bytes of a
   * client that went away meanwhile are still delivered; then its FIN or RST follows once the
   * server has answered, as if that packet had been delayed longest, so that the server does not
   * abandon the request.
   */
  hold(direction: Direction, options?: HoldOptions): void;
  /**
   * Ends `hold` and delivers in order what it held back. Default: both ways. With `bytes`, only the
   * first so many of each connection, and the hold goes on: so a request can come late while its
   * cancellation comes later still.
   */
  release(direction?: "both" | Direction, options?: { bytes?: number }): void;
  /**
   * Loses a reply: delivers the next matching request, swallows the answer, then resets both sides.
   * Resolves when that has happened. Rejects if the connection or the proxy ends first, or `pass()`
   * calls it off.
   */
  cutAfterNextRequest(options?: CutOptions): Promise<void>;
  /**
   * Resets (RST) all connections now, or only their client sides: then what is held for the server
   * stays.
   */
  reset(side?: "both" | "client"): void;
  /** Whether new connections are reset at once. */
  refuse(refusing: boolean): void;
  /** Delays every chunk by so many ms in each direction, in order; 0 ends it. */
  latency(ms: number): void;
  /** Calls `tap` for every chunk from now on; the returned function ends that. */
  tap(tap: FaultProxyTap): () => void;
  /**
   * Resolves as soon as the condition holds, looked at on every event; rejects when the proxy
   * closes.
   */
  until(condition: (proxy: FaultProxy) => boolean): Promise<void>;
  /** Resets all connections and stops listening. */
  close(): Promise<void>;
}

/** Starts a {@link FaultProxy} in front of `target`. The target need not be up. */
export async function startFaultProxy(options: {
  target: { host: string; port: number };
}): Promise<FaultProxy> {
  const proxy = new TcpFaultProxy(options.target);
  await proxy.listen();
  return proxy;
}

interface Waiter {
  condition: (proxy: FaultProxy) => boolean;
  resolve: () => void;
  reject: (reason: unknown) => void;
}

const directions = ["toServer", "toClient"] as const;

class TcpFaultProxy implements FaultProxy, ProxyHost {
  readonly host: string = "127.0.0.1";
  readonly target: { host: string; port: number };
  readonly rules: Record<Direction, FlowRule> = { toServer: passing(), toClient: passing() };
  readonly counters: Record<Direction, FlowCounters> = { toServer: zero(), toClient: zero() };
  readonly #server: Server = createServer({ allowHalfOpen: true, noDelay: true });
  readonly #connections = new Map<ProxiedConnection, number>();
  readonly #cuts: PendingCut[] = [];
  readonly #taps = new Set<FaultProxyTap>();
  #waiters: Waiter[] = [];
  #refusing = false;
  #port = 0;
  #accepted = 0;

  constructor(target: { host: string; port: number }) {
    this.target = target;
    this.#server.on("connection", (socket) => this.#accept(socket));
  }

  async listen(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.listen(0, this.host, resolve);
    await promise;
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  get port(): number {
    return this.#port;
  }

  url(scheme: string): string {
    return `${scheme}://${this.host}:${this.port}`;
  }

  get connections(): number {
    return [...this.#connections.keys()].filter((connection) => connection.clientPresent).length;
  }

  get bytes(): Record<Direction, FlowCounters> {
    return this.counters;
  }

  pass(): void {
    this.#refusing = false;
    for (const direction of directions) Object.assign(this.rules[direction], passing());
    this.#callOffCuts("pass() called it off");
    for (const connection of this.#connections.keys()) connection.resetIfCorrupt();
    this.#rulesChanged();
  }

  blackhole(direction: "both" | Direction = "both"): void {
    for (const each of chosen(direction)) this.rules[each].mode = "drop";
    this.#rulesChanged();
  }

  hold(direction: Direction, options: HoldOptions = {}): void {
    const { match, limit = Infinity } = options;
    Object.assign(this.rules[direction], { mode: "hold", match, remaining: limit });
  }

  release(direction: "both" | Direction = "both", options: { bytes?: number } = {}): void {
    const { bytes = Infinity } = options;
    for (const each of chosen(direction)) {
      if (bytes === Infinity && this.rules[each].mode === "hold") this.rules[each].mode = "pass";
      for (const connection of this.#connections.keys()) connection.release(each, bytes);
    }
    this.changed();
  }

  cutAfterNextRequest(options: CutOptions = {}): Promise<void> {
    const { match = () => true, isReply = () => true } = options;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // Whoever awaits it sees the failure; one who does not must not be brought down by it.
    promise.catch(() => {});
    this.#cuts.push({ match, isReply, swallowed: resolve, failed: reject });
    return promise;
  }

  reset(side: "both" | "client" = "both"): void {
    for (const connection of this.#connections.keys()) connection.reset(side);
  }

  refuse(refusing: boolean): void {
    this.#refusing = refusing;
  }

  latency(ms: number): void {
    for (const direction of directions) this.rules[direction].latencyMs = ms;
    for (const connection of this.#connections.keys()) connection.rulesChanged();
  }

  tap(tap: FaultProxyTap): () => void {
    this.#taps.add(tap);
    return () => this.#taps.delete(tap);
  }

  until(condition: (proxy: FaultProxy) => boolean): Promise<void> {
    if (condition(this)) return Promise.resolve();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiters.push({ condition, resolve, reject });
    return promise;
  }

  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#refusing = true;
    this.#server.close(() => resolve());
    this.reset();
    this.#callOffCuts("the proxy was closed");
    await promise;
    for (const waiter of this.#waiters.splice(0))
      waiter.reject(new Error("until: the fault proxy was closed"));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  arrived(connection: ProxiedConnection, direction: Direction, chunk: Buffer): void {
    for (const tap of this.#taps) tap(direction, chunk, this.#connections.get(connection) ?? 0);
  }

  takeCut(chunk: Buffer): PendingCut | undefined {
    const index = this.#cuts.findIndex((cut) => cut.match(chunk));
    return index < 0 ? undefined : this.#cuts.splice(index, 1)[0];
  }

  changed(): void {
    if (this.#waiters.length === 0) return;
    const met = this.#waiters.filter((waiter) => waiter.condition(this));
    this.#waiters = this.#waiters.filter((waiter) => !met.includes(waiter));
    for (const waiter of met) waiter.resolve();
  }

  finished(connection: ProxiedConnection): void {
    this.#connections.delete(connection);
  }

  #accept(socket: Socket): void {
    this.#accepted += 1;
    if (this.#refusing) {
      socket.on("error", () => {});
      socket.resetAndDestroy();
      return;
    }
    this.#connections.set(new ProxiedConnection(socket, this), this.#accepted);
    this.changed();
  }

  #rulesChanged(): void {
    for (const connection of this.#connections.keys()) connection.rulesChanged();
    this.changed();
  }

  #callOffCuts(reason: string): void {
    for (const cut of this.#cuts.splice(0)) cut.failed(new Error(`cutAfterNextRequest: ${reason}`));
  }
}

function chosen(direction: "both" | Direction): readonly Direction[] {
  return direction === "both" ? directions : [direction];
}

function passing(): FlowRule {
  return { mode: "pass", latencyMs: 0, match: undefined, remaining: Infinity };
}

function zero(): FlowCounters {
  return { received: 0, delivered: 0, held: 0, dropped: 0 };
}
