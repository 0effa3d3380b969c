import { once } from "node:events";
import { connect, type AddressInfo, type Socket } from "node:net";
import { createServer } from "node:tls";

import type { Certificate } from "./certificates.ts";

/**
 * Speaks TLS to clients, and plain text to the server behind it; counts the bytes that came
 * through.
 */
export interface TlsTerminator extends AsyncDisposable {
  readonly port: number;
  readonly delivered: () => number;
}

export async function terminateTls(
  { key, cert }: Certificate,
  target: { host: string; port: number },
): Promise<TlsTerminator> {
  const sockets = new Set<Socket>();
  let delivered = 0;
  const server = createServer({ key, cert, ALPNProtocols: ["h2", "http/1.1"] }, (client) => {
    const upstream = connect(target);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroy());
      from.pipe(to);
    }
    client.on("data", (chunk: Buffer) => (delivered += chunk.length));
  });
  // A client that does not trust us ends the handshake; that is what these tests want to see.
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    delivered: () => delivered,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
