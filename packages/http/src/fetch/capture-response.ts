import { announced, type Outgoing, type PlainResponse, type Unkept } from "../outgoing.ts";
import { joined } from "./read-body.ts";

export interface Captured {
  readonly outgoing: Outgoing;
  /** What to send: the same response, its body readable again. */
  readonly response: Response;
}

/**
 * Takes a response's body into memory, if it is one that can be kept.
 *
 * A `Response` does not say whether its body is a string or a stream. A response with a
 * Content-Length is read to its end. The body of any other must be there when the handler returns
 * it: to read a string, bytes, or a stream whose chunks are all queued takes no turn of the event
 * loop. A body that does take a turn is still being made. It is a stream, and passes through
 * unstored. To wait for its end would withhold from the client what was meant to be read as it
 * comes, perhaps for ever.
 */
export async function captureResponse(
  response: Response,
  limitBytes: number,
  unhandled: boolean = false,
): Promise<Captured> {
  const { status } = response;
  const headers = [...response.headers];
  const as = (body: Uint8Array | null, unkept: Unkept | null): Outgoing => {
    return { status, headers, body, unkept, unhandled };
  };
  if (response.body === null) return { outgoing: as(new Uint8Array(0), null), response };
  const length = announced((name) => response.headers.get(name), limitBytes);
  if (length === "stream" || length === "too-large") return { outgoing: as(null, length), response };

  const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader();
  const turn = length === "known" ? null : nextTurn();
  const chunks: Uint8Array[] = [];
  for (let size = 0; ;) {
    const reading = reader.read();
    const next = await (turn === null ? reading : Promise.race([reading, turn]));
    if (next === "next turn")
      return { outgoing: as(null, "stream"), response: withBody(response, rest(chunks, reader, reading)) };
    if (next.done) break;
    chunks.push(next.value);
    size += next.value.length;
    if (size > limitBytes)
      return { outgoing: as(null, "too-large"), response: withBody(response, rest(chunks, reader)) };
  }
  const body = joined(chunks);
  return { outgoing: as(body, null), response: withBody(response, body) };
}

/**
 * `Response` refuses a body with these. An adapter for Node's HTTP may have stored one, which was
 * never sent.
 */
const bodiless: ReadonlySet<number> = new Set([204, 205, 304]);

/** A response that is wholly in memory, as a `Response`. */
export function toResponse({ status, headers, body }: PlainResponse): Response {
  const fields = new Headers();
  for (const [name, value] of headers) fields.append(name, value);
  const empty = body.length === 0 || bodiless.has(status);
  return new Response(empty ? null : new Uint8Array(body), { status, headers: fields });
}

function nextTurn(): Promise<"next turn"> {
  return new Promise((resolve) => setImmediate(resolve, "next turn"));
}

function withBody(response: Response, body: Uint8Array<ArrayBuffer> | ReadableStream): Response {
  const { status, statusText, headers } = response;
  const empty = body instanceof Uint8Array && body.length === 0;
  return new Response(empty ? null : body, { status, statusText, headers });
}

/** What was read already, a read that is under way, and all that follows. */
function rest(
  chunks: readonly Uint8Array[],
  reader: ReadableStreamDefaultReader<Uint8Array>,
  reading: ReturnType<typeof reader.read> = reader.read(),
): ReadableStream<Uint8Array> {
  let pending: typeof reading | null = reading;
  // The reader of the stream sees it fail.
  reading.catch(() => undefined);
  return new ReadableStream<Uint8Array>({
    start: (controller) => {
      for (const chunk of chunks) controller.enqueue(chunk);
    },
    pull: async (controller) => {
      const { done, value } = await (pending ?? reader.read());
      pending = null;
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}
