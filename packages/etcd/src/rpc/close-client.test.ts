import { once } from "node:events";
import { createServer } from "node:net";

import { Etcd3 } from "etcd3";
import { expect, test } from "vitest";

import { closeClient } from "./close-client.ts";

test("a client that is just connecting leaves no timer when it is closed", async () => {
  // Takes connections, and never says a word: a client of it is connecting for ever.
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const client = new Etcd3({ hosts: `http://127.0.0.1:${port}` });
  const connected = once(server, "connection");
  const failed = client
    .get("x")
    .exec()
    .catch((error: unknown) => error);
  await connected;
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();
  closeClient(client);
  await new Promise((resolve) => setImmediate(resolve));
  expect(timers()).toBeLessThanOrEqual(before);
  expect(await failed).toBeInstanceOf(Error);
  server.close();
});
