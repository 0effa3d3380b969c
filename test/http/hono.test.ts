import { createCoordinator } from "@leasehold/core";
import { memoryBackend } from "@leasehold/core/memory";
import {
  idempotencyKey,
  type HttpEvent,
  type IdempotencyKeyOptions,
  type IdempotencyVariables,
} from "@leasehold/http/hono";
import { Hono, type Context } from "hono";
import { cors } from "hono/cors";
import { HTTPException } from "hono/http-exception";
import { streamSSE } from "hono/streaming";
import { validator } from "hono/validator";
import { expect, onTestFinished, test } from "vitest";

import { freshKey } from "./client.ts";
import { describeService } from "./contract.ts";
import { startHono } from "./services.ts";

describeService(startHono);

type App = Hono<{ Variables: IdempotencyVariables & { tenant: string } }>;

function middleware(
  options: Partial<IdempotencyKeyOptions<Context, Uint8Array>> = {},
): ReturnType<typeof idempotencyKey> {
  const coordinator = createCoordinator({ backend: memoryBackend() });
  onTestFinished(() => coordinator.close());
  return idempotencyKey(coordinator, { scope: () => "acme/charges", ...options });
}

function post(app: App, key: string, body: unknown = { amount: 1 }): Promise<Response> {
  const origin = "https://shop.example";
  const headers = { "idempotency-key": key, "content-type": "application/json", origin };
  return Promise.resolve(app.request("/charges", { method: "POST", headers, body: JSON.stringify(body) }));
}

test("the scope is taken from what authentication has set", async () => {
  const app: App = new Hono();
  app.use(async (c, next) => {
    c.set("tenant", c.req.header("authorization") ?? "acme");
    await next();
  });
  let executions = 0;
  app.post(
    "/charges",
    middleware({
      scope: (c) => `${(c as Context<{ Variables: { tenant: string } }>).get("tenant")}/charges`,
    }),
    (c) => c.json({ tenant: c.get("tenant"), executions: ++executions }),
  );
  const key = freshKey();
  const ask = async (authorization: string): Promise<unknown> =>
    (
      await app.request("/charges", { method: "POST", headers: { authorization, "idempotency-key": key } })
    ).json();
  expect(await ask("acme")).toEqual({ tenant: "acme", executions: 1 });
  expect(await ask("globex")).toEqual({ tenant: "globex", executions: 2 });
  expect(await ask("acme")).toEqual({ tenant: "acme", executions: 1 });
});

test("the body can be read before and after, in any form", async () => {
  const app: App = new Hono();
  app.post(
    "/charges",
    validator("json", (value: { amount: number }) => value),
    middleware(),
    async (c) => c.json([c.req.valid("json"), await c.req.json(), (await c.req.text()).length]),
  );
  app.post("/late", middleware(), async (c) => c.json(await c.req.json()));
  const key = freshKey();
  expect(await (await post(app, key)).json()).toEqual([{ amount: 1 }, { amount: 1 }, 12]);
  expect((await post(app, key)).headers.get("idempotent-replayed")).toBe("true");
  expect((await post(app, key, { amount: 2 })).status).toBe(422);
  const headers = { "idempotency-key": freshKey(), "content-type": "application/json" };
  const late = await app.request("/late", { method: "POST", headers, body: '{"amount":3}' });
  expect(await late.json()).toEqual({ amount: 3 });
});

test("a body that was read before is held to the limit as well", async () => {
  const app: App = new Hono();
  app.post(
    "/charges",
    validator("json", (value: object) => value),
    middleware({ maxRequestBytes: 20 }),
    (c) => c.text("done"),
  );
  expect((await post(app, freshKey(), { a: "x" })).status).toBe(200);
  expect((await post(app, freshKey(), { a: "x".repeat(30) })).status).toBe(413);
});

test("what is around it works on replays and problems as on first answers: CORS, headers of one's own", async () => {
  const app: App = new Hono();
  app.use(cors({ origin: "https://shop.example" }));
  app.use(async (c, next) => {
    await next();
    c.header("x-served-by", "replica-1");
  });
  app.post("/charges", middleware(), (c) => c.json({ paid: true }, 201));
  const key = freshKey();
  for (const [body, status] of [
    [{ amount: 1 }, 201],
    [{ amount: 1 }, 201],
    [{ amount: 2 }, 422],
  ] as const) {
    const response = await post(app, key, body);
    expect(response.status).toBe(status);
    expect(response.headers.get("access-control-allow-origin")).toBe("https://shop.example");
    expect(response.headers.get("x-served-by")).toBe("replica-1");
  }
});

test("an HTTPException is a response; any other error is unknown, even where 5xx are released", async () => {
  const events: HttpEvent[] = [];
  const app: App = new Hono();
  const thrown: Error[] = [
    new HTTPException(402, { message: "declined" }),
    new HTTPException(503, { message: "the bank is closed" }),
    new Error("after the charge"),
  ];
  app.post("/charges", middleware({ on5xx: "released", onEvent: (event) => events.push(event) }), () => {
    throw thrown.shift() ?? new Error("too often");
  });
  app.onError((error, c) => (error instanceof HTTPException ? error.getResponse() : c.text("oh", 500)));
  expect((await post(app, freshKey())).status).toBe(402);
  expect((await post(app, freshKey())).status).toBe(503);
  expect((await post(app, freshKey())).status).toBe(500);
  expect(events).toMatchObject([{ record: "stored" }, { record: "released" }, { record: "unknown" }]);
});

test("an error of its own handlers that is none goes to whoever calls", async () => {
  const app: App = new Hono();
  app.post("/charges", middleware({ scope: () => "" }), (c) => c.text("done"));
  app.onError((error, c) => c.text((error as { code?: string }).code ?? "", 500));
  expect(await (await post(app, freshKey())).text()).toBe("INVALID_ARGUMENT");
});

test("server-sent events pass through", async () => {
  const events: HttpEvent[] = [];
  const app: App = new Hono();
  app.post("/charges", middleware({ onEvent: (event) => events.push(event) }), (c) =>
    streamSSE(c, async (stream) => {
      for (const data of ["one", "two"]) await stream.writeSSE({ data });
    }),
  );
  expect(await (await post(app, freshKey())).text()).toBe("data: one\n\ndata: two\n\n");
  expect(events).toMatchObject([{ outcome: "not-kept", reason: "stream" }]);
});

test("a route that is not found is stored as any other 404", async () => {
  const app: App = new Hono();
  app.use(middleware());
  const key = freshKey();
  expect((await post(app, key)).status).toBe(404);
  const second = await post(app, key);
  expect([second.status, second.headers.get("idempotent-replayed")]).toEqual([404, "true"]);
});
