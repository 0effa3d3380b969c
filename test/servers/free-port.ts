import { createServer } from "node:net";

// Ports lie below the ranges from which kernels take those of outgoing connections (Linux from
// 32768), so that nobody gets a server's port by chance while that server is down. Redis Cluster's
// bus is 10000 above its node's port.
const lowest = 12_000;
const count = 4_000;
const claimOffset = 5_000;
const busOffset = 10_000;

/**
 * A port of 127.0.0.1 that is free now, as is the one 10000 above it, and that no process of any
 * test run gets before this one ends. Throws when it finds none.
 *
 * The claim is a socket that listens 5000 above, until this process ends. To look whether the port
 * is free would not do: test files run side by side, and another worker would take the port between
 * the look and the server's start, or while a test keeps its server down. Whatever kills this
 * process ends the claim.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = lowest + Math.floor(Math.random() * count);
    if (!(await claimPort(port))) continue;
    // A server that outlived its run has no claim any more, and still has its port.
    if ((await canListen(port)) && (await canListen(port + busOffset))) return port;
  }
  throw new Error(`found no free port between ${lowest} and ${lowest + count - 1} on 127.0.0.1`);
}

/** Whether the port was nobody's, and is this process's from now on. */
export function claimPort(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer((socket) => socket.destroy());
  server.once("error", () => resolve(false));
  server.listen(port + claimOffset, "127.0.0.1", () => resolve(true));
  server.unref();
  return promise;
}

function canListen(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once("error", () => resolve(false));
  server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  return promise;
}
