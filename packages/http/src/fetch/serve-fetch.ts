import type { ExecutionContext } from "@leasehold/core";

import type { Protection } from "../protection.ts";
import { captureResponse, toResponse, type Captured } from "./capture-response.ts";

export interface FetchSource<R> {
  /** What `scope` and `fingerprint` are given. */
  readonly subject: R;
  readonly request: Request;
  /** The body's bytes, or null if there are more than that many. */
  readonly bytes: (maxBytes: number) => Promise<Uint8Array<ArrayBuffer> | null>;
}

export interface Handled {
  readonly response: Response;
  readonly unhandled: boolean;
}

/** Serves a request of a framework with `Request` and `Response`. Null: it is not protected. */
export async function serveFetch<R>(
  protection: Protection<R, Uint8Array>,
  { subject, request, bytes }: FetchSource<R>,
  handle: (request: Request, context: ExecutionContext) => Promise<Handled>,
): Promise<Response | null> {
  const { method, headers } = request;
  if (!protection.covers(method)) return null;
  const { pathname, search } = new URL(request.url);
  const field = headers.get("idempotency-key");
  let read: Uint8Array<ArrayBuffer> | null = null;
  let captured: Captured | undefined;
  const served = await protection.serve(
    {
      request: subject,
      method,
      target: pathname + search,
      contentType: headers.get("content-type"),
      keyLines: field === null ? [] : [field],
      body: async (maxBytes) => {
        read = await bytes(maxBytes);
        return read === null ? null : { body: read };
      },
      gone: request.signal,
    },
    async (context) => {
      const { response, unhandled } = await handle(readAgain(request, read, context.signal), context);
      captured = await captureResponse(response, protection.maxBodyBytes, unhandled);
      return captured.outgoing;
    },
  );
  if (served.kind === "passed") return null;
  if (served.kind === "executed" && captured !== undefined) return captured.response;
  // A handler may go on streaming for a record that another execution has taken over.
  captured?.response.body?.cancel().catch(() => undefined);
  if (served.kind === "answered") return toResponse(served.response);
  throw new TypeError("executed without a response");
}

/**
 * The request with its body, which was read once already, and with the signal of the execution. Its
 * own signal aborts when the client disconnects, and a handler that stopped for it would leave a
 * retry nothing to get. It is made of its parts: `Request` does not take the classes that servers
 * have for it.
 */
function readAgain(
  { method, url, headers }: Request,
  bytes: Uint8Array<ArrayBuffer> | null,
  signal: AbortSignal,
): Request {
  // These have no body, and Request refuses even an empty one.
  const body = method === "GET" || method === "HEAD" ? null : bytes;
  return new Request(url, { method, headers, body, signal });
}
