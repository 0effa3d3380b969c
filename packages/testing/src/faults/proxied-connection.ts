import { connect, type Socket } from "node:net";
import { FaultFlow, type Direction, type FlowCounters, type FlowItem, type FlowRule } from "./flow.ts";

/** A reply that is to be lost: settled by the connection that carries the request. */
export interface PendingCut {
  match: (chunk: Buffer) => boolean;
  isReply: (chunk: Buffer) => boolean;
  swallowed: () => void;
  failed: (reason: Error) => void;
}

/** What a connection needs from its proxy. */
export interface ProxyHost {
  readonly target: { host: string; port: number };
  readonly rules: Record<Direction, FlowRule>;
  readonly counters: Record<Direction, FlowCounters>;
  /** Bytes arrived from one side, whatever becomes of them. */
  arrived(connection: ProxiedConnection, direction: Direction, chunk: Buffer): void;
  /** Bytes are about to be written to the server: is this the request whose reply is to be lost? */
  takeCut(chunk: Buffer): PendingCut | undefined;
  /** Something observable changed. */
  changed(): void;
  /** Both sockets are closed. */
  finished(connection: ProxiedConnection): void;
}

/** One client's connection and the one made for it to the server. */
export class ProxiedConnection {
  readonly #host: ProxyHost;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #toServer: FaultFlow;
  readonly #toClient: FaultFlow;
  #clientPresent = true;
  #cut: PendingCut | undefined;

  constructor(client: Socket, host: ProxyHost) {
    this.#host = host;
    this.#client = client;
    this.#server = connect({ ...host.target, allowHalfOpen: true, noDelay: true });
    this.#toServer = new FaultFlow(host.rules.toServer, host.counters.toServer, {
      deliver: (item) => this.#deliverToServer(item),
      endWaitsForAnswer: true,
    });
    this.#toClient = new FaultFlow(host.rules.toClient, host.counters.toClient, {
      deliver: (item) => deliver(this.#client, item),
      endWaitsForAnswer: false,
    });
    this.#listen();
  }

  /** True until the client ended or reset its side. */
  get clientPresent(): boolean {
    return this.#clientPresent;
  }

  /** A rule of the proxy has changed. */
  rulesChanged(): void {
    this.#toServer.ruleChanged();
    this.#toClient.ruleChanged();
  }

  /** Delivers what was held back, or its first `bytes`. */
  release(direction: Direction, bytes: number): void {
    (direction === "toServer" ? this.#toServer : this.#toClient).release(bytes);
  }

  /**
   * A stream that lost bytes must not go on as if it were whole: resets the connection if it did.
   */
  resetIfCorrupt(): void {
    if (this.#toServer.lost || this.#toClient.lost) this.reset("both");
  }

  /** RST at once, without waiting for what is under way. */
  reset(side: "both" | "client"): void {
    if (side === "both") {
      this.#toServer.close();
      this.#toClient.close();
      this.#failCut("was reset before the server answered");
      resetSocket(this.#server);
    } else if (this.#clientPresent) {
      // To the server it looks as if the client had reset: behind whatever is still held back for
      // it.
      this.#clientLeft({ kind: "reset" });
    }
    this.#clientPresent = false;
    resetSocket(this.#client);
    this.#host.changed();
  }

  #listen(): void {
    const [client, server] = [this.#client, this.#server];
    client.on("data", (chunk: Buffer) => {
      this.#host.arrived(this, "toServer", chunk);
      this.#toServer.receive({ kind: "bytes", bytes: chunk });
      this.#host.changed();
    });
    client.on("end", () => this.#clientLeft({ kind: "end" }));
    client.on("error", () => this.#clientLeft({ kind: "reset" }));
    server.on("data", (chunk: Buffer) => this.#serverSent(chunk));
    server.on("end", () => this.#serverLeft({ kind: "end" }));
    server.on("error", () => this.#serverLeft({ kind: "reset" }));
    for (const socket of [client, server]) socket.on("close", () => this.#socketClosed());
  }

  #clientLeft(item: FlowItem): void {
    this.#clientPresent = false;
    // While a reply is awaited to be swallowed the server must not notice: it might abandon the
    // request.
    if (!this.#cut) this.#toServer.receive(item);
    this.#host.changed();
  }

  #serverSent(chunk: Buffer): void {
    this.#host.arrived(this, "toClient", chunk);
    this.#toServer.answered();
    const cut = this.#cut;
    if (!cut) {
      this.#toClient.receive({ kind: "bytes", bytes: chunk });
    } else {
      this.#host.counters.toClient.received += chunk.length;
      this.#host.counters.toClient.dropped += chunk.length;
      if (cut.isReply(chunk)) {
        this.#cut = undefined;
        this.reset("both");
        cut.swallowed();
      }
    }
    this.#host.changed();
  }

  #serverLeft(item: FlowItem): void {
    this.#failCut("was closed by the server before it answered");
    this.#toServer.answered();
    this.#toClient.receive(item);
    this.#host.changed();
  }

  #deliverToServer(item: FlowItem): void {
    if (item.kind === "bytes") this.#cut ??= this.#host.takeCut(item.bytes);
    deliver(this.#server, item);
  }

  #failCut(reason: string): void {
    this.#cut?.failed(new Error(`cutAfterNextRequest: the connection ${reason}`));
    this.#cut = undefined;
  }

  #socketClosed(): void {
    // Whatever is still held for a client that went away stays: only when the server is gone too is
    // it all over.
    if (this.#client.closed && this.#server.closed) {
      this.#toServer.close();
      this.#toClient.close();
      this.#host.finished(this);
    }
    this.#host.changed();
  }
}

function deliver(socket: Socket, item: FlowItem): void {
  if (socket.destroyed || socket.writableEnded) {
    if (item.kind === "reset") socket.destroy();
    return;
  }
  if (item.kind === "bytes") socket.write(item.bytes);
  else if (item.kind === "end") socket.end();
  // A reset overtakes bytes that the socket has not written yet, and these were sent before it.
  else if (socket.writableLength > 0) socket.write("", () => resetSocket(socket));
  else resetSocket(socket);
}

function resetSocket(socket: Socket): void {
  // After a FIN the kernel takes no RST from us: the peer knows of the end, and gets one if it goes
  // on writing.
  if (socket.writableEnded) socket.destroy();
  else if (!socket.destroyed) socket.resetAndDestroy();
}
