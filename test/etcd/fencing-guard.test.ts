import { createCoordinator } from "@leasehold/core";
import { etcdBackend, etcdFencingGuard } from "@leasehold/etcd";
import { Etcd3 } from "etcd3";
import { afterAll, expect, test } from "vitest";
import { etcdForThisFile } from "../servers/for-this-file.ts";

const { hosts } = await etcdForThisFile();
const etcd = new Etcd3({ hosts });
afterAll(() => etcd.close());

const guard = etcdFencingGuard(etcd);
let names = 0;
const fresh = (): string => `fenced-${process.pid}-${++names}`;
const stale = { code: "STALE_TOKEN" };

/** A write of the user's own, with the fence in its compare. */
async function write(resource: string, token: bigint, text: string): Promise<boolean> {
  const put = { key: Buffer.from(`data/${resource}`), value: Buffer.from(text) };
  const { succeeded } = await etcd.kv.txn({
    compare: guard.compare(resource, token),
    success: [{ request_put: put }],
  });
  return succeeded;
}

test("a claim raises the fence; a lower one is stale; an equal one is the same holder", async () => {
  const resource = fresh();
  await guard.claim(resource, 9n);
  await guard.claim(resource, 10n);
  await guard.claim(resource, 10n);
  await expect(guard.claim(resource, 9n)).rejects.toMatchObject(stale);
  await expect(guard.check(resource, 9n)).rejects.toMatchObject(stale);
  await guard.check(resource, 10n);
  await guard.check(resource, 11n);
  await expect(guard.claim(resource, 10n), "a check claims nothing").resolves.toBe(undefined);
});

test("tokens are ordered as numbers, over every length", async () => {
  const resource = fresh();
  for (const token of [1n, 2n, 10n, 99n, 100n, 2n ** 53n, 2n ** 63n - 1n]) {
    await guard.claim(resource, token);
    await expect(guard.claim(resource, token - 1n)).rejects.toMatchObject(stale);
  }
});

test("a resource that nobody has claimed lets every reader through, and no write", async () => {
  const resource = fresh();
  await guard.check(resource, 1n);
  expect(await write(resource, 1n, "unclaimed")).toBe(false);
});

test("a write holds only while the fence stands at its token", async () => {
  const resource = fresh();
  await guard.claim(resource, 5n);
  expect(await write(resource, 5n, "five")).toBe(true);
  await guard.claim(resource, 6n);
  expect(await write(resource, 5n, "late")).toBe(false);
  expect(await write(resource, 6n, "six")).toBe(true);
  expect(await etcd.get(`data/${resource}`).string()).toBe("six");
});

test("of many claims at once the highest stands, and no lower one is accepted after it", async () => {
  const resource = fresh();
  const tokens = Array.from({ length: 50 }, (_, index) => BigInt(index + 1));
  const outcomes = await Promise.allSettled(tokens.toReversed().map((token) => guard.claim(resource, token)));
  expect(outcomes[0]?.status).toBe("fulfilled");
  const refused = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
  expect(refused).toEqual(refused.map(() => expect.objectContaining(stale)));
  await expect(guard.check(resource, 49n)).rejects.toMatchObject(stale);
});

test("the tokens of a lock are what the guard takes", async () => {
  await using coordinator = createCoordinator({ backend: etcdBackend({ hosts }) });
  const resource = fresh();
  const first = await coordinator.lock(resource).acquire();
  await first.release();
  const second = await coordinator.lock(resource).acquire();
  await guard.claim(resource, second.fencingToken);
  await expect(guard.claim(resource, first.fencingToken)).rejects.toMatchObject(stale);
});

test("what is no token is refused, and what is no fence lets nobody through", async () => {
  const resource = fresh();
  for (const token of [-1n, 10n ** 20n, 5 as unknown as bigint])
    await expect(guard.claim(resource, token)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await etcd.put(`leasehold/~fence/${resource}`).value("zzz");
  await expect(guard.claim(resource, 5n)).rejects.toMatchObject({
    code: "BACKEND_UNAVAILABLE",
    permanent: true,
  });
  await expect(guard.check(resource, 5n)).rejects.toMatchObject({ permanent: true });
});
