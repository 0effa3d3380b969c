/** A header field and one of its values; a name may come more than once. */
export type HeaderField = readonly [name: string, value: string];

/** A response that is wholly in memory. */
export interface PlainResponse {
  readonly status: number;
  readonly headers: readonly HeaderField[];
  readonly body: Uint8Array;
}

/**
 * Why a response is not kept. `stream`: it was still being made when its handler had returned it,
 * or it says that it is a stream. `too-large`: it has more than `maxResultBytes`. `interrupted`: it
 * broke off in the middle.
 */
export type Unkept = "stream" | "too-large" | "interrupted";

/** A handler's response, as soon as it is known. */
export interface Outgoing {
  readonly status: number;
  readonly headers: readonly HeaderField[];
  /** Null: not kept, for the reason in `unkept`. */
  readonly body: Uint8Array | null;
  readonly unkept: Unkept | null;
  /** Whether a framework made it out of an error that no handler meant as a response. */
  readonly unhandled: boolean;
}

/** Content types that are read as they come: to hold them back would defeat their purpose. */
const streamTypes =
  /^\s*(text\/event-stream|application\/(x-ndjson|jsonl|json-seq)|multipart\/x-mixed-replace)\b/i;

/** What the headers alone say of a body: a stream, too large, of a known length, or nothing. */
export function announced(
  header: (name: string) => string | null,
  limitBytes: number,
): "stream" | "too-large" | "known" | "unknown" {
  if (streamTypes.test(header("content-type") ?? "")) return "stream";
  if (header("transfer-encoding") !== null) return "stream";
  const length = header("content-length");
  if (length === null || !/^\d+$/.test(length)) return "unknown";
  return Number(length) > limitBytes ? "too-large" : "known";
}
