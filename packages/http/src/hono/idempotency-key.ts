import type { Coordinator, ExecutionContext } from "@leasehold/core";
import type { Context, MiddlewareHandler } from "hono";

import { readBody } from "../fetch/read-body.ts";
import { serveFetch } from "../fetch/serve-fetch.ts";
import type { IdempotencyKeyOptions } from "../options.ts";
import { Protection } from "../protection.ts";

/** What the middleware sets: `new Hono<{ Variables: IdempotencyVariables }>()`. */
export interface IdempotencyVariables {
  /** Of the execution that this request is; undefined for a request that is not protected. */
  readonly idempotency: ExecutionContext | undefined;
}

/**
 * The Idempotency-Key header for Hono 4:
 *
 *     app.post("/charges", idempotencyKey(coordinator, options), handler)
 *
 * Use it after authentication, which `scope` needs, and inside of what changes every response
 * (CORS, compression): that is done again for a replay.
 *
 * An error that a handler throws becomes a response in `onError`, and is classified by its status.
 * A 5xx made of anything but an `HTTPException` counts as unknown. Throws `INVALID_ARGUMENT` on any
 * option out of bounds.
 */
export function idempotencyKey(
  coordinator: Coordinator,
  options: IdempotencyKeyOptions<Context, Uint8Array>,
): MiddlewareHandler<{ Variables: IdempotencyVariables }> {
  const protection = new Protection(coordinator, options);
  return async (c, next) => {
    const { raw } = c.req;
    // An earlier middleware may have read the body: Hono keeps it.
    const bytes = async (maxBytes: number): Promise<Uint8Array<ArrayBuffer> | null> => {
      if (!raw.bodyUsed) return readBody(raw.body, maxBytes);
      const read = new Uint8Array(await c.req.arrayBuffer());
      return read.length > maxBytes ? null : read;
    };
    let handled = false;
    const response = await serveFetch(
      protection,
      { subject: c as Context, request: raw, bytes },
      async (request, context) => {
        handled = true;
        c.req.raw = request;
        c.set("idempotency", context);
        await next();
        const { error } = c;
        return { response: c.res, unhandled: error !== undefined && !("getResponse" in error) };
      },
    );
    if (response === null) return next();
    if (!handled) return response;
    // First removed, since Hono would merge the new response with it.
    c.res = undefined;
    c.res = response;
    return undefined;
  };
}
