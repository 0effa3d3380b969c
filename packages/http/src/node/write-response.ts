import type { ServerResponse } from "node:http";

import type { PlainResponse } from "../outgoing.ts";
import { setHeaders } from "./header-fields.ts";

/** Sends a response that is wholly in memory. */
export function writeResponse(response: ServerResponse, { status, headers, body }: PlainResponse): void {
  if (response.destroyed) return;
  response.statusCode = status;
  setHeaders(response, headers);
  response.end(body);
}
