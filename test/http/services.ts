import { createServer, type Server } from "node:http";
import { Readable } from "node:stream";

import { getRequestListener, serve } from "@hono/node-server";
import express, { type Request as ExpressRequest, type Response as ExpressResponse } from "express";
import Fastify from "fastify";
import { Hono } from "hono";
import { idempotencyKey } from "@leasehold/http";
import { idempotencyKey as expressKey } from "@leasehold/http/express";
import { idempotencyKey as fastifyKey } from "@leasehold/http/fastify";
import { idempotencyKey as honoKey, type IdempotencyVariables } from "@leasehold/http/hono";

import { encode, isStream, listening, scopeOf, type Reply, type StartService } from "./service.ts";

function toResponse(reply: Reply): Response {
  const { bytes, headers } = encode(isStream(reply.body) ? { headers: reply.headers } : reply);
  const body = isStream(reply.body) ? (Readable.toWeb(Readable.from(reply.body)) as ReadableStream) : bytes;
  const fields = new Headers(headers);
  for (const cookie of reply.cookies ?? []) fields.append("set-cookie", cookie);
  return new Response(body, { status: reply.status ?? 200, headers: fields });
}

async function bodyOf(request: Request): Promise<unknown> {
  const bytes = Buffer.from(await request.arrayBuffer());
  const isJson = request.headers.get("content-type")?.includes("json") === true;
  return isJson ? JSON.parse(bytes.toString()) : bytes;
}

export const startFetch: StartService = (coordinator, options, handle) => {
  const scope = (request: Request): string => scopeOf(request.headers.get("x-tenant") ?? undefined);
  const guarded = idempotencyKey(coordinator, { ...options, scope });
  const fetch = async (request: Request): Promise<Response> => {
    try {
      return await guarded(request, async (inner, context) =>
        toResponse(await handle({ path: new URL(inner.url).pathname, body: await bodyOf(inner), context })),
      );
    } catch (error) {
      return new Response(String(error), { status: 500 });
    }
  };
  const listener = getRequestListener(fetch, { overrideGlobalObjects: false });
  return listening(createServer((request, response) => void listener(request, response)));
};

export const startExpress: StartService = (coordinator, options, handle) => {
  const app = express();
  app.use(express.json({ limit: "5mb" }));
  const scope = (request: ExpressRequest): string => scopeOf(request.get("x-tenant"));
  app.use(expressKey(coordinator, { ...options, scope }));
  app.use(async (request: ExpressRequest, response: ExpressResponse) => {
    const { path, body, idempotency: context = null } = request;
    const reply = await handle({ path, body: body as unknown, context });
    for (const cookie of reply.cookies ?? []) response.append("set-cookie", cookie);
    response.status(reply.status ?? 200);
    if (isStream(reply.body)) {
      response.set(reply.headers ?? {});
      Readable.from(reply.body).pipe(response);
      return;
    }
    const { bytes, headers } = encode(reply);
    response.set(headers);
    if (bytes === undefined) response.end();
    else response.send(bytes);
  });
  app.use((error: unknown, _request: ExpressRequest, response: ExpressResponse, _next: unknown) => {
    response.status(500).type("text/plain").send(String(error));
  });
  return listening(createServer(app));
};

export const startFastify: StartService = async (coordinator, options, handle) => {
  const app = Fastify({ bodyLimit: 5 * 2 ** 20 });
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  const scope = (request: { headers: Record<string, unknown> }): string =>
    scopeOf(request.headers["x-tenant"] as string | undefined);
  app.register(fastifyKey(coordinator, { ...options, scope }));
  app.all("/*", async (request, reply) => {
    const { url: path, body, idempotency: context } = request;
    const answer = await handle({ path, body, context });
    for (const cookie of answer.cookies ?? []) reply.header("set-cookie", cookie);
    reply.code(answer.status ?? 200);
    if (isStream(answer.body)) return reply.headers(answer.headers ?? {}).send(Readable.from(answer.body));
    const { bytes, headers } = encode(answer);
    reply.headers(headers);
    return bytes;
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  const service = await listening(app.server);
  return { ...service, close: async () => void (await Promise.all([service.close(), app.close()])) };
};

export const startHono: StartService = async (coordinator, options, handle) => {
  const app = new Hono<{ Variables: IdempotencyVariables }>();
  app.use(
    honoKey(coordinator, { ...options, scope: (c) => scopeOf(c.req.header("x-tenant")) }),
    async (c) => {
      const reply = await handle({
        path: c.req.path,
        body: await bodyOf(c.req.raw),
        context: c.get("idempotency") ?? null,
      });
      return toResponse(reply);
    },
  );
  app.onError((error, c) => c.text(String(error), 500));
  const server = await new Promise<Server>((resolve) => {
    const started = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, () =>
      resolve(started as Server),
    );
  });
  return listening(server);
};
