import { subscribe, unsubscribe } from "node:diagnostics_channel";

import { createCoordinator, type ExecutionContext } from "@leasehold/core";
import { memoryBackend } from "@leasehold/core/memory";
import {
  idempotencyKey,
  type FetchHandler,
  type HttpEvent,
  type IdempotencyKeyOptions,
} from "@leasehold/http";
import { expect, onTestFinished, test, vi } from "vitest";

import { freshKey } from "./client.ts";
import { describeService } from "./contract.ts";
import { startFetch } from "./services.ts";

describeService(startFetch);

type Options = Partial<IdempotencyKeyOptions<Request, Uint8Array>>;

function guarded(options: Options = {}): (request: Request, handler: FetchHandler) => Promise<Response> {
  const coordinator = createCoordinator({ backend: memoryBackend() });
  onTestFinished(() => coordinator.close());
  return idempotencyKey(coordinator, { scope: () => "acme/charges", ...options });
}

function post(
  key: string,
  init: Omit<RequestInit, "headers"> & { headers?: Record<string, string> } = {},
): Request {
  return new Request("http://pay.example/charges", {
    method: "POST",
    body: "42",
    ...init,
    headers: { "idempotency-key": key, ...init.headers },
  });
}

const type = async (response: Response): Promise<string> =>
  ((await response.json()) as { type: string }).type;

test("an error of the handler's own is thrown on as it is", async () => {
  const error = new TypeError("no such currency");
  const call = guarded();
  await expect(call(post(freshKey()), () => Promise.reject(error))).rejects.toBe(error);
});

test("an error of this SDK that a handler threw by itself is none of the protocol's", async () => {
  const call = guarded();
  const coordinator = createCoordinator({ backend: memoryBackend() });
  await coordinator.close();
  const handler: FetchHandler = async () => {
    await coordinator.lock("account").acquire();
    return new Response();
  };
  await expect(call(post(freshKey()), handler)).rejects.toMatchObject({ code: "CLOSED" });
});

test("an empty scope is refused before anything happens, with a message for whoever wrote it", async () => {
  const call = guarded({ scope: () => "" });
  const handler = vi.fn<FetchHandler>();
  await expect(call(post(freshKey()), handler)).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    message: expect.stringMatching(/one tenant would get another's/),
  });
  expect(handler).not.toHaveBeenCalled();
});

test("a scope that is looked up, and fails, fails the request", async () => {
  const call = guarded({ scope: () => Promise.reject(new Error("no session")) });
  await expect(call(post(freshKey()), async () => new Response())).rejects.toThrow("no session");
});

test("a request larger than maxRequestBytes: 413, whether it said so or not", async () => {
  const call = guarded({ maxRequestBytes: 10 });
  const handler = vi.fn<FetchHandler>(async () => new Response());
  const endless = new ReadableStream({ pull: (controller) => controller.enqueue(Buffer.alloc(4)) });
  const large = await call(post(freshKey(), { body: "x".repeat(11) }), handler);
  expect([large.status, await type(large)]).toEqual([413, "urn:problem-type:idempotency:request-too-large"]);
  expect((await call(post(freshKey(), { body: endless, duplex: "half" }), handler)).status).toBe(413);
  expect(handler).not.toHaveBeenCalled();
  expect((await call(post(freshKey(), { body: "x".repeat(10) }), handler)).status).toBe(200);
});

test("JSON that is nested too deeply to be compared: 413, and no crash", async () => {
  const call = guarded();
  const body = "[".repeat(200_000) + "]".repeat(200_000);
  const headers = { "content-type": "application/json" };
  expect((await call(post(freshKey(), { body, headers }), async () => new Response())).status).toBe(413);
});

test("the handler's request has the body, the headers, and the execution's signal in place of the client's", async () => {
  const call = guarded();
  const client = new AbortController();
  const request = post(freshKey(), { signal: client.signal, headers: { "x-a": "1" } });
  let seen: [Request, ExecutionContext | null] | undefined;
  await call(request, async (inner, context) => {
    seen = [inner, context];
    client.abort();
    expect(inner.signal.aborted).toBe(false);
    return new Response(await inner.text());
  });
  expect(seen?.[0].headers.get("x-a")).toBe("1");
  expect(seen?.[0].url).toBe("http://pay.example/charges");
  expect(seen?.[1]).toMatchObject({ attempt: 1, downstreamKey: expect.stringMatching(/^[0-9a-f]{64}$/) });
});

test("a client that leaves while it waits ends its wait, and executes nothing", async () => {
  const call = guarded({ conflict: "wait" });
  const key = freshKey();
  const gate = Promise.withResolvers<void>();
  const first = call(post(key), async () => {
    await gate.promise;
    return new Response("done");
  });
  const client = new AbortController();
  const handler = vi.fn<FetchHandler>();
  const second = call(post(key, { signal: client.signal }), handler);
  client.abort();
  expect((await second).status).toBe(503);
  gate.resolve();
  expect((await first).status).toBe(200);
  expect(handler).not.toHaveBeenCalled();
});

test("a fingerprint of one's own says what is compared", async () => {
  const fingerprint = vi.fn<(request: Request, bytes: Uint8Array) => unknown>((request, bytes) => [
    request.headers.get("x-operation"),
    bytes.length,
  ]);
  const call = guarded({ fingerprint });
  const key = freshKey();
  const handler: FetchHandler = async () => new Response("done");
  const headers = { "x-operation": "refund" };
  expect((await call(post(key, { body: "ab", headers }), handler)).status).toBe(200);
  expect((await call(post(key, { body: "xy", headers }), handler)).headers.get("idempotent-replayed")).toBe(
    "true",
  );
  expect((await call(post(key, { body: "abc", headers }), handler)).status).toBe(422);
  expect((await call(post(key, { body: "ab" }), handler)).status).toBe(422);
});

test("a policy of one's own says which statuses are stored", async () => {
  const call = guarded({ classifyStatus: (status) => (status === 418 ? "released" : "stored") });
  const answer = async (key: string, status: number): Promise<string | null> => {
    const response = await call(post(key), async () => new Response(null, { status }));
    return response.headers.get("idempotent-replayed");
  };
  const [teapot, broken] = [freshKey(), freshKey()];
  expect([await answer(teapot, 418), await answer(teapot, 418)]).toEqual([null, null]);
  expect([await answer(broken, 500), await answer(broken, 500)]).toEqual([null, "true"]);
});

test("keepHeaders and problemTypes are the user's", async () => {
  const call = guarded({ keepHeaders: ["X-Total"], problemTypes: "https://pay.example/problems/" });
  const key = freshKey();
  const headers = { "x-total": "3", etag: '"1"', "content-type": "text/csv" };
  const handler: FetchHandler = async () => new Response("a,b", { headers });
  await call(post(key), handler);
  const replayed = await call(post(key), handler);
  expect(Object.fromEntries(replayed.headers)).toEqual({
    "content-type": "text/csv",
    "x-total": "3",
    "idempotent-replayed": "true",
  });
  expect(await type(await call(post("unquoted"), handler))).toBe(
    "https://pay.example/problems/key-malformed",
  );
});

test("methods are the user's: PUT with a key, and GET without a body", async () => {
  const call = guarded({ methods: ["PUT", "GET"] });
  const handler: FetchHandler = async (request) => new Response(`${request.method} ${await request.text()}`);
  const headers = { "idempotency-key": freshKey() };
  const ask = async (method: string, body?: string): Promise<string> =>
    (await call(new Request("http://pay.example/1", { method, headers, body }), handler)).text();
  expect(await ask("PUT", "42")).toBe("PUT 42");
  const passed = await call(post(freshKey()), async (_, context) =>
    Response.json({ protected: context !== null }),
  );
  expect(await passed.json()).toEqual({ protected: false });
  headers["idempotency-key"] = freshKey();
  expect(await ask("GET")).toBe("GET ");
});

test("every event is on the diagnostics channel, too; a listener that throws is a warning, and changes nothing", async () => {
  const published: unknown[] = [];
  const told: HttpEvent[] = [];
  const listener = (event: unknown): void => void published.push(event);
  subscribe("leasehold:http", listener);
  onTestFinished(() => void unsubscribe("leasehold:http", listener));
  const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  onTestFinished(() => warned.mockRestore());
  const onEvent = (event: HttpEvent): void => {
    told.push(event);
    throw new Error("oh");
  };
  const call = guarded({ onEvent });
  const key = freshKey();
  expect((await call(post(key), async () => new Response("done", { status: 201 }))).status).toBe(201);
  await call(post(key), async () => new Response());
  await call(post("unquoted"), async () => new Response());
  expect(told).toEqual([
    {
      type: "http",
      outcome: "executed",
      method: "POST",
      scope: "acme/charges",
      status: 201,
      record: "stored",
      attempt: 1,
    },
    { type: "http", outcome: "replayed", method: "POST", scope: "acme/charges", status: 201, attempt: 1 },
    { type: "http", outcome: "refused", method: "POST", scope: null, status: 400, problem: "key-malformed" },
  ]);
  expect(published).toEqual(told);
  expect(warned).toHaveBeenCalledTimes(3);
});
