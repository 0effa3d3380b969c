import { tracingChannel } from "node:diagnostics_channel";
import { Readable } from "node:stream";

import type { Coordinator, ExecutionContext } from "@leasehold/core";
import type { FastifyPluginCallback, FastifyReply, FastifyRequest } from "fastify";

import type { ResponseCapture } from "../node/response-capture.ts";
import { serveNode } from "../node/serve-node.ts";
import type { IdempotencyKeyOptions } from "../options.ts";
import type { PlainResponse } from "../outgoing.ts";
import { Protection } from "../protection.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Of the execution that this request is; null for a request that is not protected. */
    idempotency: ExecutionContext | null;
  }
}

/**
 * The Idempotency-Key header for Fastify 5, for the routes of the context in which it is
 * registered:
 *
 *     fastify.register(idempotencyKey(coordinator, options))
 *
 * Register it after authentication, which `scope` needs. It begins in `preHandler`, so a request
 * that its schema refuses takes no key.
 *
 * Whatever the handler does to answer (return, `send`, throw, stream, `hijack`), the response is
 * held at the socket until it is recorded; `onSend` hooks have seen it by then. An error becomes a
 * response in the error handler, and is classified by its status. A 5xx made of an error that has
 * no `statusCode` counts as unknown. Throws `INVALID_ARGUMENT` on any option out of bounds.
 */
export function idempotencyKey(
  coordinator: Coordinator,
  options: IdempotencyKeyOptions<FastifyRequest, unknown>,
): FastifyPluginCallback {
  const protection = new Protection(coordinator, options);
  const plugin: FastifyPluginCallback = (fastify, _, registered) => {
    if (!fastify.hasRequestDecorator("idempotency")) fastify.decorateRequest("idempotency", null);
    const executing = new WeakMap<FastifyReply, Executing>();
    fastify.addHook("preHandler", (request, reply, done) => {
      if (protection.covers(request.method)) void serve({ protection, executing }, request, reply, done);
      else done();
    });
    fastify.addHook("onError", (_request, reply, error, done) => {
      const one = executing.get(reply);
      if (one !== undefined && error.statusCode === undefined) one.capture.unhandled = true;
      done();
    });
    const stop = onReturn((reply) => {
      const one = executing.get(reply);
      if (one?.answered === false && reply.raw.destroyed) reply.send();
    });
    fastify.addHook("onClose", (_instance, done) => {
      stop();
      done();
    });
    registered();
  };
  // As fastify-plugin does it. The hooks belong to the context that registers the plugin: a context
  // of the plugin's own would have no routes.
  return Object.assign(plugin, {
    [Symbol.for("skip-override")]: true,
    [Symbol.for("fastify.display-name")]: "@leasehold/http",
    [Symbol.for("plugin-meta")]: { name: "@leasehold/http", fastify: "5.x" },
  });
}

/** A reply whose handler runs. */
interface Executing {
  readonly capture: ResponseCapture;
  /** Whether anybody has called its `send`. */
  answered: boolean;
}

async function serve(
  {
    protection,
    executing,
  }: {
    readonly protection: Protection<FastifyRequest, unknown>;
    readonly executing: WeakMap<FastifyReply, Executing>;
  },
  request: FastifyRequest,
  reply: FastifyReply,
  done: (error?: Error) => void,
): Promise<void> {
  const { raw } = reply;
  const source = {
    request,
    target: request.originalUrl,
    incoming: request.raw,
    outgoing: raw,
    body: async () => ({ body: request.body }),
  };
  let handled = false;
  try {
    const served = await serveNode(protection, source, (context, capture) => {
      handled = true;
      const one: Executing = { capture, answered: false };
      executing.set(reply, one);
      const send = reply.send.bind(reply);
      reply.send = (payload) => {
        one.answered = true;
        return send(payload);
      };
      request.idempotency = context;
      done();
    });
    if (served.kind === "passed") done();
    else if (served.kind === "answered" && !handled) answer(reply, served.response);
  } catch (error) {
    if (!handled) done(error as Error);
    // A handler that destroys its response has nobody left to tell.
    else if (!raw.destroyed) raw.destroy(error as Error);
  }
}

/**
 * Tells when an async handler has come to its end, after what it returned was sent. A handler that
 * returns nothing means an empty response. But where the client has gone, Fastify sends no response
 * at all, and it would never be known that the execution is over.
 */
function onReturn(listener: (reply: FastifyReply) => void): () => void {
  const handlers = tracingChannel<object>("fastify.request.handler");
  const returned = (message: unknown): void => listener((message as { readonly reply: FastifyReply }).reply);
  handlers.asyncEnd.subscribe(returned);
  return () => handlers.asyncEnd.unsubscribe(returned);
}

/** Through Fastify, so that the hooks of CORS and the like have their say. */
function answer(reply: FastifyReply, { status, headers, body }: PlainResponse): void {
  reply.code(status);
  const values = new Map<string, string[]>();
  for (const [field, value] of headers) {
    const name = field.toLowerCase();
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  for (const [name, each] of values) reply.header(name, each.length === 1 ? each[0] : each);
  if (body.length === 0) return void reply.send();
  // Of bytes without a type Fastify makes one up; of a stream it does not.
  if (values.has("content-type")) return void reply.send(Buffer.from(body));
  reply.header("content-length", body.length).send(Readable.from([body]));
}
