import { createCoordinator, type AcquireRequest, type Backend, type ProposeRequest } from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";
import { endsHttp2Response, startFaultProxy, type FaultProxy } from "@leasehold/testing";
import { Etcd3 } from "etcd3";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";

import { patienceMs } from "../stall/index.ts";
import { claimsOf, keysUnder } from "./store-keys.ts";
import { lockResource } from "../lock-resource.ts";
import { etcdForThisFile } from "../servers/for-this-file.ts";

const { hosts } = await etcdForThisFile();
const etcd = new Etcd3({ hosts });
afterAll(() => etcd.close());
const target = ((url) => ({ host: url.hostname, port: Number(url.port) }))(new URL(hosts[0]!));

function open(at: string | readonly string[] = hosts): Backend {
  const backend = etcdBackend({ hosts: at }, { minTtlMs: 1_000 });
  onTestFinished(() => backend[Symbol.asyncDispose]());
  return backend;
}

async function behindProxy(): Promise<{ backend: Backend; proxy: FaultProxy }> {
  const proxy = await startFaultProxy({ target });
  // After the backend, whose close may need it.
  onTestFinished(() => proxy.close());
  return { backend: open(proxy.url("http")), proxy };
}

let drawn = 0;
function request(name: string): AcquireRequest {
  const owner = (++drawn).toString(16).padStart(32, "0");
  const claim = { resource: lockResource(`default:lock:${name}`), owner, ttlMs: 60_000, weight: 1 };
  return { ...claim, queue: true, value: "first", maxWaiters: 10, timeoutMs: 5_000 };
}

async function granted(
  backend: Backend,
  wanted: AcquireRequest,
): Promise<AcquireRequest & { ticket: bigint }> {
  const reply = await backend.leases.acquire(wanted);
  if (reply.kind !== "granted") throw new Error(`not granted, but ${reply.kind}`);
  return { ...wanted, ticket: reply.ticket };
}

function proposal(
  claim: AcquireRequest & { ticket: bigint },
  value: string,
  sequence: number,
  timeoutMs = 5_000,
): ProposeRequest {
  const { resource, owner, ticket } = claim;
  return { resource, owner, ticket, value, sequence, timeoutMs };
}

async function valueOf(name: string): Promise<string | undefined> {
  const [claim] = await claimsOf(etcd, name);
  return claim?.value.toString().slice(32);
}

test("a proposed value stays on its claim's lease, and keeps the claim's ticket", async () => {
  const backend = open();
  const claim = await granted(backend, request("proposed"));
  const [before] = await claimsOf(etcd, "proposed");
  expect(await backend.leases.propose(proposal(claim, "second", 1))).toBe(true);
  const [after] = await claimsOf(etcd, "proposed");
  expect(after!.value.toString()).toBe(`${claim.owner}:0000000000000001:second`);
  expect(after!.lease).toBe(before!.lease);
  expect(after!.lease).not.toBe("0");
  expect(BigInt(after!.create_revision)).toBe(claim.ticket);
});

test("a leader that has proclaimed still ends with its process", async () => {
  const { backend, proxy } = await behindProxy();
  const ttlMs = 2_000;
  const leading = createCoordinator({ backend, ttlMs });
  await using rival = createCoordinator({ backend: open(), ttlMs });
  const leadership = await leading.election("proclaimed", { candidate: "a" }).campaign();
  for (const value of ["1", "2", "3"]) await leadership.proclaim(value);
  proxy.blackhole();
  const next = await rival.election("proclaimed", { candidate: "b" }).campaign({ waitMs: ttlMs + 3_000 });
  expect(next.term).toBeGreaterThan(leadership.term);
  expect(leadership.isHeld()).toBe(false);
  await next.resign();
  expect(await keysUnder(etcd, "leasehold/default:election:proclaimed/")).toEqual([]);
  proxy.pass();
  await leading.close();
});

test("of many proposals at once, from this process and another, the highest stays", async () => {
  const [backend, other] = [open(), open()];
  const claim = await granted(backend, request("many"));
  const sequences = Array.from({ length: 40 }, (_, index) => ((index * 17) % 40) + 1);
  const answers = await Promise.all(
    sequences.map((sequence, index) =>
      (index % 2 === 0 ? backend : other).leases.propose(proposal(claim, `value ${sequence}`, sequence)),
    ),
  );
  expect(new Set(answers)).toEqual(new Set([true]));
  expect(await valueOf("many")).toBe(":0000000000000040:value 40");
});

test("a proposal that is held back, and arrives after a newer one, changes nothing", async () => {
  const { backend, proxy } = await behindProxy();
  const claim = await granted(backend, request("held-back"));
  proxy.hold("toServer", { match: (chunk) => chunk.includes("an older value"), limit: 1 });
  await expect(backend.leases.propose(proposal(claim, "an older value", 1, 300))).rejects.toMatchObject({
    code: "OUTCOME_UNKNOWN",
  });
  // Until the silent connection has been given up for another one.
  const newer = (): Promise<boolean> => backend.leases.propose(proposal(claim, "a newer value", 2, 1_000));
  expect(await vi.waitFor(newer, patienceMs)).toBe(true);
  expect(proxy.bytes.toServer.held).toBeGreaterThan(0);
  proxy.release("toServer");
  await proxy.until(({ bytes }) => bytes.toServer.held === 0);
  expect(await backend.leases.propose(proposal(claim, "an older value", 1)), "it is held").toBe(true);
  expect(await valueOf("held-back")).toBe(":0000000000000002:a newer value");
});

test("a proposal whose reply is lost is known after it was repeated, and was written once", async () => {
  const { backend, proxy } = await behindProxy();
  const claim = await granted(backend, request("lost-reply"));
  const lost = proxy.cutAfterNextRequest({
    match: (chunk) => chunk.includes("the value"),
    isReply: endsHttp2Response,
  });
  const again = proposal(claim, "the value", 7);
  await expect(backend.leases.propose(again)).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
  await lost;
  expect(await vi.waitFor(() => backend.leases.propose(again), patienceMs)).toBe(true);
  const [{ value, version } = { value: "", version: "" }] = await claimsOf(etcd, "lost-reply");
  expect(value.toString()).toBe(`${claim.owner}:0000000000000007:the value`);
  expect(version).toBe("2");
});

test("a claim of which one acquire went unanswered is released, whatever was proposed for it since", async () => {
  const { backend, proxy } = await behindProxy();
  await granted(backend, request("lost-acquire-warm-up"));
  const wanted = request("lost-acquire");
  const lost = proxy.cutAfterNextRequest({
    match: (chunk) => chunk.includes("lost-acquire"),
    isReply: endsHttp2Response,
  });
  await expect(backend.leases.acquire(wanted)).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
  await lost;
  const claim = await vi.waitFor(() => granted(backend, wanted), patienceMs);
  expect(await backend.leases.propose(proposal(claim, "second", 1))).toBe(true);
  expect(await backend.leases.release(claim)).toBe(true);
  expect(await claimsOf(etcd, "lost-acquire")).toEqual([]);
});

test("a value of 4 KiB is kept whole", async () => {
  const backend = open();
  const claim = await granted(backend, request("large"));
  const value = "\u{1f600}".repeat(1_024);
  expect(await backend.leases.propose(proposal(claim, value, Number.MAX_SAFE_INTEGER))).toBe(true);
  const { holders } = await backend.leases.inspect(claim.resource.name, { timeoutMs: 5_000 });
  expect(holders).toMatchObject([{ value, sequence: Number.MAX_SAFE_INTEGER, evicted: false }]);
});
