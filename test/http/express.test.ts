import { createServer } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import { createCoordinator } from "@leasehold/core";
import { memoryBackend } from "@leasehold/core/memory";
import { idempotencyKey, type HttpEvent, type IdempotencyKeyOptions } from "@leasehold/http/express";
import express, { type Express, type NextFunction, type Request, type Response } from "express";
import { expect, onTestFinished, test } from "vitest";

import { call, freshKey, problem, type Answer, type Call } from "./client.ts";
import { describeService } from "./contract.ts";
import { listening, type Service } from "./service.ts";
import { startExpress } from "./services.ts";

describeService(startExpress);

type Options = Partial<IdempotencyKeyOptions<Request, unknown>>;

function middleware(options: Options = {}): ReturnType<typeof idempotencyKey<Request>> {
  const coordinator = createCoordinator({ backend: memoryBackend() });
  onTestFinished(() => coordinator.close());
  return idempotencyKey<Request>(coordinator, { scope: () => "acme/charges", ...options });
}

async function listen(build: (app: Express) => void): Promise<Service> {
  const app = express();
  build(app);
  const service = await listening(createServer(app));
  onTestFinished(() => service.close());
  return service;
}

/** The same request twice. */
async function twice(url: string, request: Call = {}): Promise<[Answer, Answer]> {
  const again = { keyLines: [freshKey()], ...request };
  return [await call(url, again), await call(url, again)];
}

const isReplay = ({ headers }: Answer): boolean => headers["idempotent-replayed"] === "true";

test("a body that no parser took is read, compared and handed on as bytes; one that is too large is a 413", async () => {
  const { url } = await listen((app) => {
    app.post("/charges", middleware({ maxRequestBytes: 100 }), (request, response) => {
      const body: unknown = request.body;
      response.send(Buffer.isBuffer(body) ? body : "nothing");
    });
  });
  const [first, second] = await twice(url, { body: "text" });
  expect([first.body.toString(), second.body.toString(), isReplay(second)]).toEqual(["text", "text", true]);
  const keyLines = [freshKey()];
  expect((await call(url, { keyLines, body: "a" })).status).toBe(200);
  expect((await call(url, { keyLines, body: "b" })).status).toBe(422);
  expect((await call(url, { keyLines: [freshKey()] })).body.toString()).toBe("nothing");
  expect((await call(url, { keyLines: [freshKey()], body: "x".repeat(101) })).status).toBe(413);
  const large = await call(url, { keyLines: [freshKey()], body: "x".repeat(200_000), chunked: true });
  expect(problem(large)).toMatchObject({ type: "urn:problem-type:idempotency:request-too-large" });
});

test("two routers do not share a key for the paths that they have in common", async () => {
  const { url } = await listen((app) => {
    for (const mount of ["/v1", "/v2"]) {
      const router = express.Router();
      router.post("/charges", middleware(), (_request, response) => void response.send(mount));
      app.use(mount, router);
    }
    const one = express.Router().post("/charges", (_request, response) => void response.send("done"));
    app.use(middleware()).use("/v3", one).use("/v4", one);
  });
  const keyLines = [freshKey()];
  expect((await call(url, { keyLines, path: "/v3/charges" })).status).toBe(200);
  expect((await call(url, { keyLines, path: "/v4/charges" })).status).toBe(422);
});

test("an error that is passed on is classified by what the error handlers make of it", async () => {
  const events: HttpEvent[] = [];
  const { url } = await listen((app) => {
    app.use(middleware({ onEvent: (event) => events.push(event) }));
    app.post("/declined", async () => {
      throw Object.assign(new Error("declined"), { status: 402 });
    });
    app.post("/broken", () => {
      throw new Error("after the charge");
    });
    app.use(
      (error: Error & { status?: number }, _request: Request, response: Response, _next: NextFunction) => {
        response.status(error.status ?? 500).json({ error: error.message });
      },
    );
  });
  const [first, second] = await twice(url, { path: "/declined" });
  expect([first.status, second.status, isReplay(second)]).toEqual([402, 402, true]);
  expect((await call(url, { keyLines: [freshKey()], path: "/broken" })).status).toBe(500);
  expect(events.at(-1)).toMatchObject({ outcome: "executed", status: 500, record: "unknown" });
});

test("an empty scope goes to the error handlers, and no further", async () => {
  let executions = 0;
  const { url } = await listen((app) => {
    app.post("/charges", middleware({ scope: () => "" }), (_request, response) => {
      executions++;
      response.end();
    });
    app.use((error: { code?: string }, _request: Request, response: Response, _next: NextFunction) => {
      response.status(500).send(error.code);
    });
  });
  const answer = await call(url, { keyLines: [freshKey()] });
  expect([answer.status, answer.body.toString(), executions]).toEqual([500, "INVALID_ARGUMENT", 0]);
});

test.each<[string, (response: Response) => unknown]>([
  ["json", (response) => response.status(201).json({ paid: 1 })],
  ["redirect", (response) => response.redirect(303, "/charges/1")],
  ["sendStatus", (response) => response.sendStatus(202)],
  [
    "writeHead with an object",
    (response) => response.writeHead(201, { etag: '"1"', link: ["<a>", "<b>"] }).end("made"),
  ],
  ["writeHead with a reason", (response) => response.writeHead(201, "Made", { etag: '"1"' }).end("made")],
  [
    "writeHead with a list",
    (response) => response.writeHead(201, ["ETag", '"1"', "Link", "<a>"]).end("made"),
  ],
  ["end, in another encoding", (response) => response.end("68656c6c6f", "hex")],
  [
    "write and end, with a length",
    (response) => {
      response.set({ "content-type": "text/plain", "content-length": "6" });
      response.write("one", () => response.end("two"));
    },
  ],
  [
    "a pipe, with a length",
    (response) => pipeline(Readable.from(["one", "two"]), response.set("content-length", "6").type("txt")),
  ],
])("%s is kept, and replayed as it was", async (_, answer) => {
  const { url } = await listen((app) => {
    app.post("/charges", middleware(), (__, response) => void answer(response));
  });
  const [first, second] = await twice(url);
  expect(second.status).toBe(first.status);
  expect(second.body.toString()).toBe(first.body.toString());
  for (const name of ["content-type", "content-length", "etag", "link", "location"])
    expect([name, second.headers[name]]).toEqual([name, first.headers[name]]);
  expect([isReplay(first), isReplay(second)]).toEqual([false, true]);
});

test.each<[string, (response: Response) => unknown]>([
  ["a pipe", (response) => pipeline(Readable.from(["one", "two"]), response)],
  [
    "flushHeaders",
    (response) => {
      response.flushHeaders();
      response.end("onetwo");
    },
  ],
  [
    "a write that waits for its callback",
    (response) => response.write("one", () => response.write("two", () => response.end())),
  ],
])("%s, without a length, is a stream", async (_, answer) => {
  const events: HttpEvent[] = [];
  const { url } = await listen((app) => {
    const idempotency = middleware({ onEvent: (event) => events.push(event) });
    app.post("/charges", idempotency, (__, response) => void answer(response));
  });
  const [first, second] = await twice(url);
  expect([first.status, first.body.toString()]).toEqual([200, "onetwo"]);
  expect([second.status, problem(second).type]).toEqual([
    409,
    "urn:problem-type:idempotency:response-not-kept",
  ]);
  expect(events[0]).toMatchObject({ outcome: "not-kept", reason: "stream" });
});

test("a large body that is piped passes through whole, without being held", async () => {
  const { url } = await listen((app) => {
    app.post("/charges", middleware(), (_request, response) => {
      response.set("content-length", String(64 * 65_536));
      Readable.from(Array.from({ length: 64 }, () => Buffer.alloc(65_536, "x"))).pipe(response);
    });
  });
  const [first, second] = await twice(url);
  expect(first.body.equals(Buffer.alloc(64 * 65_536, "x"))).toBe(true);
  expect(second.status).toBe(409);
});

test("to its handler the response looks sent: a second answer fails as it would, and changes nothing", async () => {
  const seen: unknown[] = [];
  const { url } = await listen((app) => {
    app.post("/charges", middleware(), (_request, response) => {
      seen.push(response.headersSent, response.writableEnded);
      response.status(201).json({ paid: 1 });
      seen.push(response.headersSent, response.writableEnded);
      try {
        response.status(200).json({ paid: 2 });
      } catch (error) {
        seen.push((error as { code?: string }).code);
      }
      response.end("more");
    });
  });
  const [first, second] = await twice(url);
  expect(seen).toEqual([false, false, true, true, "ERR_HTTP_HEADERS_SENT"]);
  for (const answer of [first, second])
    expect([answer.status, answer.body.toString()]).toEqual([201, '{"paid":1}']);
});

test("a handler that fails in the middle of its body: executed, and not kept", async () => {
  const events: HttpEvent[] = [];
  const { url } = await listen((app) => {
    app.use(middleware({ onEvent: (event) => events.push(event) }));
    app.post("/charges", async (_request, response) => {
      response.set("content-length", "6").write("one");
      throw new Error("upstream");
    });
    // Express's own prints what it cannot send.
    app.set("env", "test");
  });
  const keyLines = [freshKey()];
  await expect(call(url, { keyLines })).rejects.toThrow(/socket hang up|aborted|ECONNRESET/);
  await expect.poll(() => events).toMatchObject([{ outcome: "not-kept", reason: "interrupted" }]);
  expect(problem(await call(url, { keyLines }))).toMatchObject({
    type: "urn:problem-type:idempotency:response-not-kept",
  });
});

test("a client that leaves in the middle of a piped body: executed, and not kept", async () => {
  const events: HttpEvent[] = [];
  const begun = Promise.withResolvers<void>();
  const { url } = await listen((app) => {
    app.use(middleware({ onEvent: (event) => events.push(event) }));
    app.post("/charges", (_request, response) => {
      const body = new Readable({ read: () => {} });
      body.push("one");
      body.pipe(response.set("content-length", "6"));
      setImmediate(() => begun.resolve());
    });
  });
  const keyLines = [freshKey()];
  const leaving = new AbortController();
  const first = call(url, { keyLines, signal: leaving.signal });
  await begun.promise;
  leaving.abort();
  await expect(first).rejects.toThrow(/abort/);
  await expect.poll(() => events).toMatchObject([{ outcome: "not-kept", reason: "interrupted" }]);
  expect((await call(url, { keyLines })).status).toBe(409);
});

test("middleware around it that changes headers and bodies at the last moment sees replays, too", async () => {
  const { url } = await listen((app) => {
    // As compression and response-time do it.
    app.use((_request, response, next) => {
      const end = response.end.bind(response) as (chunk?: unknown) => Response;
      const writeHead = response.writeHead.bind(response) as (status: number) => Response;
      response.writeHead = (status: number): Response => {
        response.setHeader("x-took", "1ms");
        return writeHead(status);
      };
      response.end = (chunk?: unknown): Response => {
        response.removeHeader("content-length");
        return end(chunk instanceof Uint8Array ? Buffer.from(chunk).toString().toUpperCase() : chunk);
      };
      next();
    });
    app.post("/charges", middleware(), (_request, response) => void response.type("txt").send("paid"));
  });
  const [first, second] = await twice(url);
  for (const answer of [first, second])
    expect([answer.body.toString(), answer.headers["x-took"]]).toEqual(["PAID", "1ms"]);
  expect(isReplay(second)).toBe(true);
});

test("a route that does not exist is a 404 like any other; one that is not protected is not touched", async () => {
  const { url } = await listen((app) => {
    app.use(middleware({ required: false }));
    app.post(
      "/open",
      (request, response) => void response.json({ protected: request.idempotency !== undefined }),
    );
  });
  const [first, second] = await twice(url, { path: "/nowhere" });
  expect([first.status, second.status, isReplay(second)]).toEqual([404, 404, true]);
  expect(JSON.parse((await call(url, { path: "/open" })).body.toString())).toEqual({ protected: false });
  const protectedCall = await call(url, { path: "/open", keyLines: [freshKey()] });
  expect(JSON.parse(protectedCall.body.toString())).toEqual({ protected: true });
});
