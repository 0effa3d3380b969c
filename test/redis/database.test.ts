import { redisBackend } from "@leasehold/redis";
import { Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { expect, onTestFinished, test } from "vitest";

import { ownRedis } from "./own-redis.ts";
import { lockRequest } from "./requests.ts";

const { server, admin } = await ownRedis();

/** ioredis says "ready" all the same after a refused SELECT, and is in database 0. */
const noSuchDatabase = 99;

const quiet = (client: Redis | Redis5): Redis | Redis5 => {
  client.on("error", () => {});
  onTestFinished(() => client.disconnect());
  return client;
};

test.each([
  ["a URL", (url: string) => url],
  ["a client of ioredis 6", (url: string) => quiet(new Redis(url))],
  ["a client of ioredis 5", (url: string) => quiet(new Redis5(url))],
])(
  "a database that is not there, by %s: every call is refused, and none runs in another",
  async (_, make) => {
    await using backend = redisBackend(make(`${server.url}/${noSuchDatabase}`));
    const heard: string[] = [];
    backend.onDegraded(({ reason }) => heard.push(reason));
    backend.onRestored(({ reason }) => heard.push(`not ${reason}`));
    for (let i = 0; i < 8; i++)
      await expect(backend.leases.acquire(lockRequest("elsewhere"))).rejects.toMatchObject({
        code: "BACKEND_UNAVAILABLE",
        permanent: true,
        message: expect.stringContaining("no database of this number"),
      });
    expect(await admin.dbsize()).toBe(0);
    expect(heard).toEqual(["refusing"]);
  },
);

test("a user that may not choose the database is served once it may, and there alone", async () => {
  await admin.acl("SETUSER", "chooser", "on", ">word", "~*", "&*", "+@all", "-select");
  const { host, port } = server.address;
  await using backend = redisBackend({ host, port, username: "chooser", password: "word", db: 3 });
  const heard: string[] = [];
  backend.onDegraded(({ reason }) => heard.push(reason));
  backend.onRestored(({ reason }) => heard.push(`not ${reason}`));
  const request = lockRequest("chosen");
  await expect(backend.leases.acquire(request)).rejects.toMatchObject({
    code: "BACKEND_UNAVAILABLE",
    permanent: true,
  });
  await admin.acl("SETUSER", "chooser", "+select");
  await expect
    .poll(() => backend.leases.acquire(request).catch(() => undefined))
    .toMatchObject({ kind: "granted" });
  expect({ keys: await admin.dbsize(), heard }).toEqual({ keys: 0, heard: ["refusing", "not refusing"] });
});
