import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from "node:http";

import { announced, type HeaderField, type Outgoing, type PlainResponse, type Unkept } from "../outgoing.ts";
import { fieldsOf, setHeaders } from "./header-fields.ts";
import { writeResponse } from "./write-response.ts";

type Callback = (error?: Error | null) => void;
type Method = (...args: unknown[]) => unknown;

/** The methods of a response that can change what is sent. */
const methods = [
  "writeHead",
  "write",
  "end",
  "flushHeaders",
  "setHeader",
  "appendHeader",
  "removeHeader",
  "destroy",
] as const;
type MethodName = (typeof methods)[number];
type Originals = Readonly<Record<MethodName, Method>>;

/**
 * Stands between a handler and the socket. What the handler sends is taken here. `known` resolves
 * with it as soon as it is a response, and it goes out on `send`, when it has been recorded. To the
 * handler it looks as if it had been sent: `headersSent`, `writableEnded`, and the error for a
 * header that comes too late.
 *
 * A body is kept if it comes in one piece, or with a Content-Length. If its first part is written
 * without saying how much is to come, it is a stream. A stream is held back until its record says
 * that it was executed, which is one round trip, and passes from then on.
 */
export class ResponseCapture {
  readonly known: Promise<Outgoing>;
  /** Whether an error that no handler meant as a response made it. */
  unhandled: boolean = false;

  readonly #response: ServerResponse;
  readonly #limitBytes: number;
  readonly #original: Originals;
  readonly #headersBefore: OutgoingHttpHeaders;
  readonly #resolve: (outgoing: Outgoing) => void;
  readonly #reject: (error: Error) => void;
  #mode: "holding" | "sending" | "swallowing" = "holding";
  #begun = false;
  #ended = false;
  /** Once the response is known. What is set afterwards would not be what was stored. */
  #status: number | null = null;
  #flush = false;
  #chunks: Buffer[] = [];
  #length = 0;
  #onEnd: Callback | undefined;

  constructor(response: ServerResponse, limitBytes: number) {
    this.#response = response;
    this.#limitBytes = limitBytes;
    this.#headersBefore = { ...response.getHeaders() };
    ({
      promise: this.known,
      resolve: this.#resolve,
      reject: this.#reject,
    } = Promise.withResolvers<Outgoing>());
    const own = response as unknown as Record<string, Method>;
    this.#original = Object.fromEntries(
      methods.map((name) => [name, own[name]?.bind(response)]),
    ) as Originals;
    const replace = (name: MethodName, held: Method): void => {
      own[name] = (...args) => (this.#mode === "holding" ? held(...args) : this.#pass(name, args));
    };
    replace("writeHead", (status, ...rest) => this.#writeHead(status as number, rest));
    replace("write", (chunk, ...rest) => this.#write(chunk, rest));
    replace("end", (...args) => this.#end(args));
    replace("flushHeaders", () => this.#flushHeaders());
    for (const name of ["setHeader", "appendHeader", "removeHeader"] as const)
      replace(name, (...args) => {
        if (this.#begun) throw headersSent();
        return this.#original[name](...args);
      });
    replace("destroy", (error) => this.#destroy(error));
    Object.defineProperties(response, {
      headersSent: { configurable: true, get: () => this.#begun },
      writableEnded: { configurable: true, get: () => this.#ended },
    });
    response.once("close", () => this.#closed());
  }

  /** Lets go what was held, and everything that follows. */
  send(): void {
    if (this.#mode !== "holding") return;
    this.#mode = "sending";
    this.#uncover();
    if (this.#response.destroyed) return;
    this.#response.statusCode = this.#status ?? this.#response.statusCode;
    if (this.#flush) this.#response.flushHeaders();
    if (this.#ended) {
      // In one piece, so that Node can say how long the body is.
      this.#original.end(this.#length === 0 ? undefined : Buffer.concat(this.#chunks), this.#onEnd);
    } else {
      for (const chunk of this.#chunks) this.#original.write(chunk);
      this.#response.emit("drain");
    }
    this.#chunks = [];
  }

  /** Sends another response in place of what was held. Swallows what the handler sends after it. */
  replace(instead: PlainResponse): void {
    if (this.#mode !== "holding") return;
    this.#mode = "sending";
    this.#uncover();
    for (const name of this.#response.getHeaderNames()) this.#response.removeHeader(name);
    setHeaders(this.#response, fieldsOf(this.#headersBefore));
    // HTTP/2 has none, and warns of the attempt.
    if (this.#response.statusMessage) this.#response.statusMessage = "";
    writeResponse(this.#response, instead);
    this.#mode = "swallowing";
    this.#chunks = [];
  }

  #pass(name: MethodName, args: unknown[]): unknown {
    if (this.#mode === "sending") return this.#original[name](...args);
    // A handler that waits for its callback, or to be allowed to write on, must come to its end.
    const callback = args.find((each) => typeof each === "function") as Callback | undefined;
    if (callback !== undefined) process.nextTick(callback, null);
    return name === "write" ? true : this.#response;
  }

  /** The response's own word for it is true again. */
  #uncover(): void {
    for (const name of ["headersSent", "writableEnded"] as const)
      Reflect.deleteProperty(this.#response, name);
  }

  #writeHead(status: number, rest: readonly unknown[]): ServerResponse {
    if (this.#begun) throw headersSent();
    const [message, given] = typeof rest[0] === "string" ? [rest[0], rest[1]] : [undefined, rest[0]];
    this.#response.statusCode = status;
    if (message !== undefined) this.#response.statusMessage = message;
    setHeaders(this.#response, fieldsOf(given as OutgoingHttpHeaders | OutgoingHttpHeader[] | undefined));
    this.#begun = true;
    return this.#response;
  }

  #write(chunk: unknown, rest: readonly unknown[]): boolean {
    if (this.#ended) return false;
    this.#begun = true;
    this.#take(chunk, rest[0]);
    const callback = rest.find((each) => typeof each === "function") as Callback | undefined;
    if (callback !== undefined) process.nextTick(callback, null);
    const length = this.#announced();
    if (length === "unknown" || length === "stream") this.#settle("stream");
    else if (length === "too-large" || this.#length > this.#limitBytes) this.#settle("too-large");
    // Once the response is known not to be kept, nothing is gained by holding more of it.
    return this.#status === null;
  }

  #end(args: readonly unknown[]): ServerResponse {
    if (this.#ended) return this.#response;
    const [chunk, encoding] = args;
    if (typeof chunk !== "function" && chunk !== undefined && chunk !== null) this.#take(chunk, encoding);
    this.#onEnd = args.find((each) => typeof each === "function") as Callback | undefined;
    this.#begun = true;
    this.#ended = true;
    const isStream = this.#announced() === "stream";
    this.#settle(isStream ? "stream" : this.#length > this.#limitBytes ? "too-large" : null);
    return this.#response;
  }

  #flushHeaders(): void {
    this.#begun = true;
    this.#flush = true;
    this.#settle("stream");
  }

  /** The framework destroys the response when a stream that it was sending has failed. */
  #destroy(error: unknown): unknown {
    if (this.#begun) this.#settle("interrupted");
    else this.#reject(new Error("The response was destroyed before it began."));
    return this.#original.destroy(error);
  }

  /**
   * The client has gone. A handler that has not begun to answer works on, and its answer is kept. A
   * handler in the middle of its answer may never get on: a pipe stops when the response closes.
   */
  #closed(): void {
    if (this.#mode === "holding" && this.#begun && !this.#ended) this.#settle("interrupted");
  }

  #take(chunk: unknown, encoding: unknown): void {
    const bytes =
      typeof chunk === "string"
        ? Buffer.from(chunk, typeof encoding === "string" ? (encoding as BufferEncoding) : "utf8")
        : // A copy: the writer may use its buffer again.
          Buffer.from(chunk as Uint8Array);
    this.#chunks.push(bytes);
    this.#length += bytes.length;
  }

  #announced(): ReturnType<typeof announced> {
    const header = (name: string): string | null => {
      const value = this.#response.getHeader(name);
      return value === undefined ? null : String(value);
    };
    return announced(header, this.#limitBytes);
  }

  #settle(unkept: Unkept | null): void {
    if (this.#status !== null) return;
    const status = this.#response.statusCode;
    this.#status = status;
    const headers: readonly HeaderField[] = fieldsOf(this.#response.getHeaders());
    const body = unkept === null ? Buffer.concat(this.#chunks) : null;
    this.#resolve({ status, headers, body, unkept, unhandled: this.unhandled });
  }
}

function headersSent(): Error {
  const message = "Cannot set headers after they are sent to the client";
  return Object.assign(new Error(message), { code: "ERR_HTTP_HEADERS_SENT" });
}
