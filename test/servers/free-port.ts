import { createServer } from "node:net";

// Below the ranges from which kernels take the ports of outgoing connections (Linux from 32768), so that nobody
// gets a server's port by chance while that server is down; and low enough for Redis Cluster's bus, 10000 above.
const lowest = 12_000;
const highest = 21_999;
const busOffset = 10_000;
const given = new Set<number>();

/**
 * A port of 127.0.0.1 that is free now, as is the one 10000 above it, and that this process has not given before.
 * Throws when it finds none.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest + 1));
    if (given.has(port)) continue;
    given.add(port);
    if ((await canListen(port)) && (await canListen(port + busOffset))) return port;
  }
  throw new Error(`found no free port between ${lowest} and ${highest} on 127.0.0.1`);
}

function canListen(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once("error", () => resolve(false));
  server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  return promise;
}
