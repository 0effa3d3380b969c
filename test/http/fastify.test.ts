import { once } from "node:events";
import { connect } from "node:http2";
import { Readable } from "node:stream";

import { createCoordinator, type Coordinator } from "@leasehold/core";
import { memoryBackend } from "@leasehold/core/memory";
import { idempotencyKey, type HttpEvent, type IdempotencyKeyOptions } from "@leasehold/http/fastify";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { expect, onTestFinished, test } from "vitest";

import { call, freshKey, problem, type Answer, type Call } from "./client.ts";
import { describeService } from "./contract.ts";
import { startFastify } from "./services.ts";

describeService(startFastify);

type Options = Partial<IdempotencyKeyOptions<FastifyRequest, unknown>>;

function plugin(options: Options = {}): ReturnType<typeof idempotencyKey> {
  const coordinator: Coordinator = createCoordinator({ backend: memoryBackend() });
  onTestFinished(() => coordinator.close());
  return idempotencyKey(coordinator, { scope: () => "acme/charges", ...options });
}

async function listen(build: (app: FastifyInstance) => unknown): Promise<string> {
  const app = Fastify();
  build(app);
  onTestFinished(async () => {
    app.server.closeAllConnections();
    await app.close();
  });
  return app.listen({ port: 0, host: "127.0.0.1" });
}

async function twice(url: string, request: Call = {}): Promise<[Answer, Answer]> {
  const again = { keyLines: [freshKey()], body: { amount: 1 }, ...request };
  return [await call(url, again), await call(url, again)];
}

const isReplay = ({ headers }: Answer): boolean => headers["idempotent-replayed"] === "true";

test.each<[string, (reply: FastifyReply) => unknown]>([
  ["an object that is returned", () => ({ paid: 1 })],
  ["an object that is sent", (reply) => reply.code(201).send({ paid: 1 })],
  ["a string", (reply) => reply.type("text/plain").send("paid")],
  ["a Buffer", (reply) => reply.type("image/png").send(Buffer.from([0, 255]))],
  [
    "a Response",
    () => new Response("paid", { status: 202, headers: { "content-length": "4", etag: '"1"' } }),
  ],
  ["a redirect", (reply) => reply.redirect("/charges/1", 303)],
  [
    "a stream with a length",
    (reply) => reply.header("content-length", "6").send(Readable.from(["one", "two"])),
  ],
  [
    "a hijacked reply",
    (reply) => {
      reply.hijack();
      reply.raw.writeHead(201, { "content-type": "text/plain", etag: '"1"' });
      reply.raw.end("paid");
    },
  ],
])("%s is kept, and replayed as it was", async (_, answer) => {
  const url = await listen((app) => {
    app.register(plugin());
    app.post("/charges", async (__, reply) => answer(reply));
  });
  const [first, second] = await twice(url);
  expect(second.status).toBe(first.status);
  expect(second.body.equals(first.body)).toBe(true);
  for (const name of ["content-type", "content-length", "etag", "location"])
    expect([name, second.headers[name]]).toEqual([name, first.headers[name]]);
  expect([isReplay(first), isReplay(second)]).toEqual([false, true]);
});

test.each<[string, (reply: FastifyReply) => unknown]>([
  ["a stream", (reply) => reply.send(Readable.from(["one", "two"]))],
  ["a web stream", (reply) => reply.send(ReadableStream.from([Buffer.from("one"), Buffer.from("two")]))],
  ["trailers", (reply) => reply.trailer("x-sum", async () => "6").send("onetwo")],
])("%s, without a length, passes through", async (_, answer) => {
  const events: HttpEvent[] = [];
  const url = await listen((app) => {
    app.register(plugin({ onEvent: (event) => events.push(event) }));
    app.post("/charges", async (__, reply) => answer(reply));
  });
  const [first, second] = await twice(url);
  expect([first.status, first.body.toString()]).toEqual([200, "onetwo"]);
  expect([second.status, problem(second).type]).toEqual([
    409,
    "urn:problem-type:idempotency:response-not-kept",
  ]);
  expect(events[0]).toMatchObject({ outcome: "not-kept", reason: "stream" });
});

test("a handler that calls back, and one that returns its reply, are kept as well", async () => {
  const url = await listen((app) => {
    app.register(plugin());
    app.post("/sync", (_request, reply) => void setImmediate(() => void reply.send({ paid: 1 })));
    app.post("/reply", async (_request, reply) => {
      await reply.send({ paid: 1 });
      return reply;
    });
  });
  for (const path of ["/sync", "/reply"]) {
    const [first, second] = await twice(url, { path });
    expect([first.status, second.body.toString(), isReplay(second)]).toEqual([200, '{"paid":1}', true]);
  }
});

test("a request that its schema refuses takes no key", async () => {
  let executions = 0;
  const url = await listen((app) => {
    app.register(plugin());
    const body = {
      type: "object",
      required: ["amount"],
      properties: { amount: { type: "integer" } },
    };
    app.post("/charges", { schema: { body } }, async (request) => {
      executions++;
      return request.body;
    });
  });
  const keyLines = [freshKey()];
  expect((await call(url, { keyLines, body: { amount: "many" } })).status).toBe(400);
  const first = await call(url, { keyLines, body: { amount: 1 } });
  expect(JSON.parse(first.body.toString())).toEqual({ amount: 1 });
  expect(isReplay(await call(url, { keyLines, body: { amount: 1 } }))).toBe(true);
  expect(executions).toBe(1);
});

test("an error with a statusCode is a response; any other is unknown, even where 5xx are released", async () => {
  const events: HttpEvent[] = [];
  const thrown = [
    Object.assign(new Error("declined"), { statusCode: 402 }),
    Object.assign(new Error("the bank is closed"), { statusCode: 503 }),
    new Error("after the charge"),
  ];
  const url = await listen((app) => {
    app.register(plugin({ on5xx: "released", onEvent: (event) => events.push(event) }));
    app.setErrorHandler(async (error: Error & { statusCode?: number }, _request, reply) =>
      reply.code(error.statusCode ?? 500).send({ error: error.message }),
    );
    app.post("/charges", async () => {
      throw thrown.shift() ?? new Error("too often");
    });
  });
  for (const status of [402, 503, 500])
    expect((await call(url, { keyLines: [freshKey()], body: {} })).status).toBe(status);
  expect(events).toMatchObject([{ record: "stored" }, { record: "released" }, { record: "unknown" }]);
});

test("an empty scope goes to the error handler, and no further", async () => {
  let executions = 0;
  const url = await listen((app) => {
    app.register(plugin({ scope: () => "" }));
    app.setErrorHandler(async (error: Error & { code?: string }) => ({ code: error.code }));
    app.post("/charges", async () => ++executions);
  });
  const answer = await call(url, { keyLines: [freshKey()], body: {} });
  expect([answer.status, JSON.parse(answer.body.toString())]).toEqual([500, { code: "INVALID_ARGUMENT" }]);
  expect(executions).toBe(0);
});

test("it is for the routes of its context, whatever the order, and for no others", async () => {
  const url = await listen((app) => {
    app.post("/open", async (request) => ({ protected: (request.idempotency ?? null) !== null }));
    app.register(async (inner) => {
      inner.post("/before", async (request) => ({ protected: request.idempotency !== null }));
      inner.register(plugin());
      inner.post("/after", async (request) => ({ protected: request.idempotency !== null }));
    });
  });
  const ask = async (path: string): Promise<unknown> =>
    JSON.parse((await call(url, { path, keyLines: [freshKey()], body: {} })).body.toString());
  expect(await ask("/open")).toEqual({ protected: false });
  expect(await ask("/before")).toEqual({ protected: true });
  expect(await ask("/after")).toEqual({ protected: true });
});

test("onSend hooks work on first answers, replays and problems alike", async () => {
  const url = await listen((app) => {
    app.addHook("onSend", async (_request, reply, payload) => {
      reply.header("access-control-allow-origin", "*");
      return payload;
    });
    app.register(plugin());
    app.post("/charges", async () => ({ paid: 1 }));
  });
  const keyLines = [freshKey()];
  for (const [body, status] of [
    [{ amount: 1 }, 200],
    [{ amount: 1 }, 200],
    [{ amount: 2 }, 422],
  ] as const) {
    const answer = await call(url, { keyLines, body });
    expect([answer.status, answer.headers["access-control-allow-origin"]]).toEqual([status, "*"]);
  }
});

test.each<[string, (reply: FastifyReply) => unknown]>([
  ["nothing", (reply) => void reply.code(204)],
  ["something", () => ({ paid: 1 })],
  ["its reply", (reply) => reply.send({ paid: 1 })],
])("a handler that returns %s to a client that has gone is known to be over", async (_, answer) => {
  const gate = Promise.withResolvers<void>();
  const events: HttpEvent[] = [];
  let entered = false;
  let app: FastifyInstance | undefined;
  const url = await listen((fastify) => {
    app = fastify;
    // Slow hooks must not be overtaken by an answer of ours.
    fastify.addHook("onSend", async (__, ___, payload) => {
      await new Promise((resolve) => setImmediate(resolve));
      return payload;
    });
    fastify.register(plugin({ onEvent: (event) => events.push(event) }));
    fastify.post("/charges", async (__, reply) => {
      entered = true;
      await gate.promise;
      return answer(reply);
    });
  });
  const keyLines = [freshKey()];
  const leaving = new AbortController();
  const first = call(url, { keyLines, body: {}, signal: leaving.signal });
  await expect.poll(() => entered).toBe(true);
  leaving.abort();
  await expect(first).rejects.toThrow(/abort/);
  const connections = (): Promise<number> =>
    new Promise((resolve) => app!.server.getConnections((__, count) => resolve(count)));
  await expect.poll(connections).toBe(0);
  gate.resolve();
  await expect.poll(() => events).toMatchObject([{ outcome: "executed", record: "stored" }]);
  const second = await call(url, { keyLines, body: {} });
  expect(isReplay(second)).toBe(true);
  expect([second.status, second.body.toString()]).toEqual(
    events[0]?.status === 204 ? [204, ""] : [200, '{"paid":1}'],
  );
});

test("a stream that fails before it began leaves the key taken", async () => {
  const events: HttpEvent[] = [];
  const url = await listen((app) => {
    app.register(plugin({ onEvent: (event) => events.push(event) }));
    app.post("/charges", async (_request, reply) =>
      reply.send(
        new Readable({
          read: (): never => {
            throw new Error("no such file");
          },
        }),
      ),
    );
  });
  const keyLines = [freshKey()];
  expect((await call(url, { keyLines, body: {} })).status).toBe(500);
  expect(events).toMatchObject([{ outcome: "executed", status: 500, record: "unknown" }]);
  expect((await call(url, { keyLines, body: {} })).status).toBe(409);
});

test("requests that Fastify simulates are protected, too", async () => {
  const app = Fastify();
  onTestFinished(() => app.close());
  app.register(plugin());
  app.post("/charges", async () => ({ paid: 1 }));
  const request = {
    method: "POST",
    url: "/charges",
    headers: { "idempotency-key": freshKey() },
    body: {},
  } as const;
  expect((await app.inject(request)).headers["idempotent-replayed"]).toBeUndefined();
  expect((await app.inject(request)).headers["idempotent-replayed"]).toBe("true");
  expect((await app.inject({ ...request, headers: {} })).statusCode).toBe(400);
});

test("HTTP/2", async () => {
  const app = Fastify({ http2: true });
  app.register(plugin());
  app.post("/charges", async (_request, reply) => reply.code(201).send({ paid: 1 }));
  const url = await app.listen({ port: 0, host: "127.0.0.1" });
  const session = connect(url);
  onTestFinished(async () => {
    session.destroy();
    await app.close();
  });
  const key = freshKey();
  const ask = async (amount: number): Promise<unknown[]> => {
    const headers = {
      ":method": "POST",
      ":path": "/charges",
      "idempotency-key": key,
      "content-type": "application/json",
    };
    const stream = session.request(headers);
    stream.setEncoding("utf8").end(JSON.stringify({ amount }));
    const [answer] = (await once(stream, "response")) as [Record<string, unknown>];
    let body = "";
    for await (const chunk of stream) body += String(chunk);
    return [answer[":status"], answer["idempotent-replayed"], (JSON.parse(body) as { paid?: number }).paid];
  };
  expect(await ask(1)).toEqual([201, undefined, 1]);
  expect(await ask(1)).toEqual([201, "true", 1]);
  expect(await ask(2)).toEqual([422, undefined, undefined]);
});
