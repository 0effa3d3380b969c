import { type Coordinator, type ExecutionContext } from "@leasehold/core";

import { readBody } from "./fetch/read-body.ts";
import { serveFetch } from "./fetch/serve-fetch.ts";
import type { IdempotencyKeyOptions } from "./options.ts";
import { Protection } from "./protection.ts";

/**
 * `context` is null for a request that is not protected: one with another method, or without a key
 * where none is required.
 */
export type FetchHandler = (request: Request, context: ExecutionContext | null) => Promise<Response>;

/**
 * The Idempotency-Key header for handlers that make a `Response` of a `Request`. At most one
 * execution is believed for each key. Every repetition gets its response, with
 * `Idempotent-Replayed: true`.
 *
 * The handler gets a request whose body can be read. The request's signal is that of the execution:
 * a client that disconnects does not end it. An error of the handler's own is thrown on, and what
 * the handler did counts as unknown. Everything else that can go wrong becomes an answer, as
 * `application/problem+json`.
 *
 * Throws `INVALID_ARGUMENT` on any option out of bounds.
 */
export function idempotencyKey(
  coordinator: Coordinator,
  options: IdempotencyKeyOptions<Request, Uint8Array>,
): (request: Request, handler: FetchHandler) => Promise<Response> {
  const protection = new Protection(coordinator, options);
  return async (request, handler) => {
    const source = {
      subject: request,
      request,
      bytes: (maxBytes: number) => readBody(request.body, maxBytes),
    };
    const handle = async (
      protectedRequest: Request,
      context: ExecutionContext,
    ): Promise<{ response: Response; unhandled: boolean }> => {
      return { response: await handler(protectedRequest, context), unhandled: false };
    };
    return (await serveFetch(protection, source, handle)) ?? handler(request, null);
  };
}
