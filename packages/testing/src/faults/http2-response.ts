const frameHeaderBytes = 9;
const headersType = 0x1;
const endStreamFlag = 0x1;

/**
 * Whether this chunk of a server's HTTP/2 bytes holds the end of a response (a HEADERS frame with
 * END_STREAM: the trailers of a gRPC reply). WINDOW_UPDATE, PING and SETTINGS frames, which a gRPC
 * server sends before it has done anything about a request, do not count; nor does DATA, so a watch
 * that goes on is not a reply. Assumes that the chunk begins with a frame, as it does with servers
 * that write whole frames.
 */
export function endsHttp2Response(chunk: Buffer): boolean {
  for (let at = 0; at + frameHeaderBytes <= chunk.length;) {
    const isEnd = chunk[at + 3] === headersType && ((chunk[at + 4] ?? 0) & endStreamFlag) !== 0;
    if (isEnd) return true;
    at += frameHeaderBytes + chunk.readUIntBE(at, 3);
  }
  return false;
}
