import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/**
 * Answers `+` and what it got, unless told to keep silent; records text, ends and resets in one
 * line.
 */
export class RecordingServer {
  readonly server: Server = createServer({ allowHalfOpen: true });
  readonly sockets: Socket[] = [];
  seen = "";
  silent = false;
  #waiters: { text: string; resolve: () => void }[] = [];

  constructor() {
    this.server.on("connection", (socket) => {
      this.sockets.push(socket);
      socket.on("data", (chunk: Buffer) => {
        this.#record(chunk.toString());
        if (!this.silent) socket.write(`+${chunk.toString()}`);
      });
      socket.on("end", () => {
        this.#record("<end>");
        socket.end();
      });
      socket.on("error", () => this.#record("<reset>"));
    });
  }

  async listen(): Promise<{ host: string; port: number }> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    return { host: "127.0.0.1", port: (this.server.address() as AddressInfo).port };
  }

  until(text: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.push({ text, resolve });
    this.#record("");
    return promise;
  }

  #record(text: string): void {
    this.seen += text;
    for (const waiter of this.#waiters) if (this.seen.includes(waiter.text)) waiter.resolve();
  }
}

/** A client socket that collects what it reads. */
export class RecordingClient {
  readonly socket: Socket;
  seen = "";
  readonly closed: Promise<string>;

  constructor(port: number) {
    this.socket = connect({ host: "127.0.0.1", port });
    const closed = Promise.withResolvers<string>();
    this.closed = closed.promise;
    let code = "end";
    this.socket.on("data", (chunk: Buffer) => (this.seen += chunk.toString()));
    this.socket.on("error", (error: NodeJS.ErrnoException) => (code = error.code ?? ""));
    this.socket.on("close", () => closed.resolve(code));
  }

  send(text: string): void {
    this.socket.write(text);
  }

  async until(text: string): Promise<void> {
    while (!this.seen.includes(text)) await once(this.socket, "data");
  }
}
