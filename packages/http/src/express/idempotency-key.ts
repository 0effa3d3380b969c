import type { IncomingMessage, ServerResponse } from "node:http";

import type { Coordinator, ExecutionContext } from "@leasehold/core";

import { readIncoming } from "../node/read-incoming.ts";
import { serveNode } from "../node/serve-node.ts";
import { writeResponse } from "../node/write-response.ts";
import type { IdempotencyKeyOptions } from "../options.ts";
import { Protection } from "../protection.ts";

declare global {
  // @types/express looks here for what middleware adds. Without those types nothing reads it.
  namespace Express {
    interface Request {
      /** Of the execution that this request is; undefined for a request that is not protected. */
      idempotency?: ExecutionContext;
    }
  }
}

/** What we need of Express's request: any framework with Connect's middleware has it. */
export interface ExpressRequest extends IncomingMessage {
  readonly originalUrl?: string;
  body?: unknown;
  idempotency?: ExecutionContext;
}

/**
 * To have Express's own request type here, name it: `idempotencyKey<Request>(…)`; or give it to the
 * parameter of `scope`.
 */
export type ExpressMiddleware<R> = (
  request: R,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void;

/**
 * The Idempotency-Key header for Express 5:
 *
 *     app.post("/charges", express.json(), idempotencyKey(coordinator, options), handler)
 *
 * Use it after authentication, which `scope` needs, and after body parsers, whose result is
 * compared. A body that no parser took is read here, and left in `request.body` as a Buffer.
 *
 * The response is held until it is recorded. An error that a handler passes on becomes a response
 * in the error handlers, and is classified by its status. Throws `INVALID_ARGUMENT` on any option
 * out of bounds.
 */
export function idempotencyKey<R extends ExpressRequest = ExpressRequest>(
  coordinator: Coordinator,
  options: IdempotencyKeyOptions<R, unknown>,
): ExpressMiddleware<R> {
  const protection = new Protection(coordinator, options);
  return (request, response, next) => {
    if (!protection.covers(request.method ?? "")) return next();
    void serve(protection, request, response, next);
  };
}

async function serve<R extends ExpressRequest>(
  protection: Protection<R, unknown>,
  request: R,
  response: ServerResponse,
  next: (error?: unknown) => void,
): Promise<void> {
  const source = {
    request,
    target: request.originalUrl ?? request.url ?? "",
    incoming: request,
    outgoing: response,
    body: (maxBytes: number) => bodyOf(request, maxBytes),
  };
  let handled = false;
  try {
    const served = await serveNode(protection, source, (context) => {
      handled = true;
      request.idempotency = context;
      next();
    });
    if (served.kind === "passed") next();
    else if (served.kind === "answered" && !handled) writeResponse(response, served.response);
  } catch (error) {
    if (!handled) next(error);
    // A handler that destroys its response has nobody left to tell.
    else if (!response.destroyed) response.destroy(error instanceof Error ? error : undefined);
  }
}

async function bodyOf(request: ExpressRequest, maxBytes: number): Promise<{ body: unknown } | null> {
  if (request.body !== undefined || request.readableDidRead) return { body: request.body };
  const bytes = await readIncoming(request, maxBytes);
  if (bytes === null) return null;
  if (bytes.length > 0) request.body = bytes;
  return { body: request.body };
}
