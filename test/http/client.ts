import { request as send, type IncomingHttpHeaders } from "node:http";
import { randomUUID } from "node:crypto";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Call {
  readonly method?: string;
  readonly path?: string;
  /** Field lines of `Idempotency-Key`, as they go onto the wire. */
  readonly keyLines?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes and strings go as they are, anything else as JSON. */
  readonly body?: unknown;
  /** Sends the body without saying how long it is. */
  readonly chunked?: boolean;
  readonly signal?: AbortSignal;
  /** Sees the body as it comes. */
  readonly onData?: (chunk: Buffer) => void;
}

/**
 * A client that does nothing of its own accord: no pool, no redirect, no retry. Rejects when the
 * connection breaks.
 */
export function call(
  url: string,
  { method = "POST", path = "/charges", ...rest }: Call = {},
): Promise<Answer> {
  const { keyLines = [], headers = {}, body, chunked = false, signal, onData } = rest;
  const isRaw = body === undefined || typeof body === "string" || body instanceof Uint8Array;
  const bytes = isRaw ? body : JSON.stringify(body);
  const type: Record<string, string> = isRaw ? {} : { "content-type": "application/json" };
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const length = chunked
    ? { "transfer-encoding": "chunked" }
    : { "content-length": Buffer.byteLength(bytes ?? "") };
  const request = send(
    new URL(path, url),
    {
      method,
      agent: false,
      headers: { ...length, ...type, ...headers, "idempotency-key": [...keyLines] },
      signal,
    },
    (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        onData?.(chunk);
      });
      response.once("error", reject);
      response.once("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks),
        }),
      );
    },
  );
  request.once("error", reject);
  request.end(bytes);
  return promise;
}

/** A key that nobody else has, quoted. */
export function freshKey(): string {
  return `"${randomUUID()}"`;
}

/** What a problem says. */
export function problem({ body }: Answer): { type: string; title: string; status: number; detail: string } {
  return JSON.parse(body.toString()) as ReturnType<typeof problem>;
}
