import { Redis } from "ioredis";
import { expect, test } from "vitest";

import { redisBackend } from "../backend.ts";

test("a backend knows the server that it lives on, by client, URL and options", async () => {
  const client = new Redis({ host: "redis.internal", port: 6380, lazyConnect: true });
  const backend = redisBackend(client);
  for (const same of [
    client,
    "redis://user:secret@redis.internal:6380/2",
    { host: "REDIS.internal", port: 6380 },
  ])
    expect(backend.livesOn(same)).toBe(true);
  const others = [
    "redis://redis.internal:6379",
    "https://payments.internal",
    {},
    undefined,
    null,
    7,
    "::not a url::",
  ];
  for (const other of others) expect(backend.livesOn(other)).toBe(false);
  await backend[Symbol.asyncDispose]();
  client.disconnect();
});

test("the ways to write the local host are one server", async () => {
  const backend = redisBackend("redis://127.0.0.1");
  expect(backend.livesOn("redis://localhost:6379")).toBe(true);
  expect(backend.livesOn({ port: 6379 })).toBe(true);
  await backend[Symbol.asyncDispose]();
});
