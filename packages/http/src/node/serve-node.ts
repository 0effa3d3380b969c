import type { IncomingMessage, ServerResponse } from "node:http";

import type { ExecutionContext } from "@leasehold/core";

import type { Exchange, Protection, Served } from "../protection.ts";
import { ResponseCapture } from "./response-capture.ts";

export interface NodeSource<R> extends Pick<Exchange<R, unknown>, "request" | "target" | "body"> {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
}

/**
 * Serves one request of a framework on Node's HTTP. `handle` starts the handler, which ends in the
 * response, whenever that is. When this resolves, what was held of the response has gone out, or
 * another response has gone out in its place.
 */
export async function serveNode<R>(
  protection: Protection<R, unknown>,
  { request, target, body, incoming, outgoing }: NodeSource<R>,
  handle: (context: ExecutionContext, capture: ResponseCapture) => void,
): Promise<Served> {
  const { method = "GET", headers } = incoming;
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  outgoing.once("close", leave);
  let capture: ResponseCapture | undefined;
  const exchange: Exchange<R, unknown> = {
    request,
    method,
    target,
    contentType: headers["content-type"] ?? null,
    keyLines: keyLinesOf(incoming),
    body,
    gone: gone.signal,
  };
  try {
    const served = await protection.serve(exchange, (context) => {
      capture = new ResponseCapture(outgoing, protection.maxBodyBytes);
      handle(context, capture);
      return capture.known;
    });
    if (served.kind === "executed") capture?.send();
    if (served.kind === "answered") capture?.replace(served.response);
    return served;
  } finally {
    outgoing.off("close", leave);
  }
}

/**
 * From the raw headers: those of HTTP/2 and of simulated requests alone tell two fields from one
 * that was joined.
 */
function keyLinesOf({ rawHeaders }: IncomingMessage): string[] {
  return rawHeaders.filter(
    (_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === "idempotency-key",
  );
}
