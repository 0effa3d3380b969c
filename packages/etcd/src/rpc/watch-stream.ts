import type { IDuplexStream, IWatchRequest, IWatchResponse } from "etcd3";
import { RpcAttempt } from "./attempt.ts";
import type { Calls } from "./calls.ts";
import type { Endpoint } from "./endpoints.ts";
import { classify, RpcFailure } from "./failure.ts";
import { ownWords } from "./own-words.ts";

export interface WatchStreamHandler {
  heard(response: IWatchResponse): void;
  /** The stream tells nothing any more. At most once, and never after `close`. */
  broken(failure: RpcFailure): void;
}

/** How long a stream may take to begin, in milliseconds: its token is part of that. */
const openTimeoutMs = 3_000;
const cancelTimeoutMs = 250;

/**
 * One stream of watches, on the member that is asked at present. Requests that are written before
 * it stands leave with it.
 */
export class WatchStream {
  readonly #calls: Calls;
  readonly #handler: WatchStreamHandler;
  readonly #ended: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  readonly #stopListening: () => void;
  #early: IWatchRequest[] = [];
  #stream: IDuplexStream<IWatchRequest, IWatchResponse> | undefined;
  #attempt: RpcAttempt | undefined;
  #endpoint: Endpoint | undefined;
  #token: string | undefined;
  #over = false;

  constructor(calls: Calls, handler: WatchStreamHandler) {
    this.#calls = calls;
    this.#handler = handler;
    this.#stopListening = calls.endpoints.onReplaced((endpoint) => {
      if (endpoint === this.#endpoint)
        this.break(new RpcFailure("unanswered", "the connection of the watches was given up"));
    });
    this.#open().catch((error: unknown) =>
      this.break(error instanceof RpcFailure ? error : new RpcFailure("unsent", String(error))),
    );
  }

  /** Whether etcd asked for no password when the stream began. */
  get isWithoutToken(): boolean {
    return this.#token === "";
  }

  write(request: IWatchRequest): void {
    if (this.#over) return;
    if (this.#stream === undefined) this.#early.push(request);
    else this.#stream.write(request);
  }

  /** Gives the stream up. The next one has a new token if this one's was refused. */
  break(failure: RpcFailure): void {
    if (this.#over) return;
    this.#end();
    if (failure.kind === "token" || failure.kind === "denied") this.#calls.forgetToken(this.#token);
    if (this.#endpoint !== undefined) this.#calls.endpoints.moveOn(this.#endpoint);
    this.#handler.broken(failure);
  }

  /**
   * Ends the stream. Resolves when gRPC has let go of it: an open one would keep the process alive.
   */
  async close(): Promise<void> {
    this.#end();
    if (this.#stream === undefined) return;
    const timer = this.#calls.clock.schedule(cancelTimeoutMs, this.#ended.resolve);
    await this.#ended.promise;
    timer.cancel();
  }

  async #open(): Promise<void> {
    const { endpoint, token } = await this.#calls.forStream(openTimeoutMs);
    if (this.#over) return;
    this.#endpoint = endpoint;
    this.#token = token;
    this.#attempt = new RpcAttempt(token, this.#calls.endpoints.ours, () => {});
    const stream = await endpoint.client.watchClient.watch(this.#attempt.callOptions);
    this.#listen(stream);
    if (this.#over) return stream.cancel();
    this.#stream = stream;
    for (const request of this.#early) stream.write(request);
    this.#early = [];
  }

  #listen(stream: IDuplexStream<IWatchRequest, IWatchResponse>): void {
    stream.on("data", (response) => {
      this.#endpoint?.pulse.heard();
      if (!this.#over) this.#handler.heard(response);
    });
    stream.on("error", (error) => {
      this.#ended.resolve();
      const status = this.#attempt?.status ?? { code: 2, details: String(error) };
      const kind = classify(status, this.#attempt?.sent === true);
      this.break(new RpcFailure(kind, `${this.#endpoint?.host ?? "etcd"}: ${ownWords(status.details)}`));
    });
    stream.on("end", () => {
      this.#ended.resolve();
      this.break(new RpcFailure("unanswered", "the server ended the watches"));
    });
  }

  #end(): void {
    this.#over = true;
    this.#stopListening();
    this.#attempt?.abandon();
  }
}
