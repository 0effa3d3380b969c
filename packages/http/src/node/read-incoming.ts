import type { IncomingMessage } from "node:http";

/** Reads an unread request to its end. Null, and leaves the rest, above `maxBytes`. */
export async function readIncoming(request: IncomingMessage, maxBytes: number): Promise<Buffer | null> {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) return null;
  const chunks: Buffer[] = [];
  let length = 0;
  const { promise, resolve, reject } = Promise.withResolvers<Buffer | null>();
  const take = (chunk: Buffer | string): void => {
    const bytes = Buffer.from(chunk as Buffer);
    length += bytes.length;
    chunks.push(bytes);
    if (length > maxBytes) resolve(null);
  };
  const broken = (): void => reject(new Error("The client disconnected before its request was complete."));
  const end = (): void => resolve(Buffer.concat(chunks));
  if (request.destroyed) broken();
  // Not "for await", which would destroy the request, and the answer with it, on leaving early.
  request.on("data", take).once("end", end).once("error", reject).once("close", broken);
  try {
    return await promise;
  } finally {
    request.off("data", take).off("end", end).off("error", reject).off("close", broken);
    // The rest of a body that is too large is dropped, as Node does with an unread request.
    request.resume();
  }
}
