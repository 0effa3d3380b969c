import type { Timer } from "@leasehold/core";
import type { IDuplexStream, IEvent, IWatchCreateRequest, IWatchRequest, IWatchResponse } from "etcd3";
import type { Calls } from "../rpc/calls.ts";
import type { KeyRange } from "../format/claim-keys.ts";
import type { Endpoint } from "../rpc/endpoints.ts";
import { RpcAttempt } from "../rpc/attempt.ts";
import { classify, RpcFailure } from "../rpc/failure.ts";
import { ownWords } from "../rpc/own-words.ts";

export interface WatchHandler {
  /**
   * From now on everything that it is to tell, and that comes after `revision`, is told, in the
   * order of the store.
   */
  created(revision: bigint): void;
  /** All that there is to tell of one or more whole revisions. */
  heard(events: readonly IEvent[]): void;
  /** The watch tells nothing any more. At most once, and never after `close`. */
  broken(failure: RpcFailure): void;
}

/**
 * What a watch tells. `deletions`: each with the key as it was before; puts are filtered out at the
 * server, since nobody waits for those who come, and a value that is replaced moves nobody.
 * `changes`: that there was a put or a deletion.
 */
export type WatchKind = "deletions" | "changes";

/**
 * A watch that is not there after this long never comes; it would be silent for as long as anybody
 * waits.
 */
const createTimeoutMs = 3_000;
const cancelTimeoutMs = 250;

/**
 * One watch, from "now". Never from a past revision: those are served by a loop that etcd runs
 * every 100 ms, which is where its own mutex loses its time.
 */
export class WatchStream {
  readonly #calls: Calls;
  readonly #handler: WatchHandler;
  readonly #ended: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  readonly #stopListening: () => void;
  #attempt: RpcAttempt | undefined;
  #endpoint: Endpoint | undefined;
  #token: string | undefined;
  #over = false;
  #timer: Timer;

  constructor(calls: Calls, range: KeyRange, kind: WatchKind, handler: WatchHandler) {
    this.#calls = calls;
    this.#handler = handler;
    this.#timer = calls.clock.schedule(createTimeoutMs, () =>
      this.#break(new RpcFailure("unanswered", "the watch was not created in time")),
    );
    this.#stopListening = calls.endpoints.onReplaced((endpoint) => {
      if (endpoint === this.#endpoint)
        this.#break(new RpcFailure("unanswered", "its connection was given up"));
    });
    this.#open(range, kind).catch((error: unknown) =>
      this.#break(error instanceof RpcFailure ? error : new RpcFailure("unsent", String(error))),
    );
  }

  /**
   * Ends the watch. Resolves when gRPC has let go of it: an open stream would keep the process
   * alive.
   */
  async close(): Promise<void> {
    this.#end();
    if (this.#endpoint === undefined) return;
    const timer = this.#calls.clock.schedule(cancelTimeoutMs, this.#ended.resolve);
    await this.#ended.promise;
    timer.cancel();
  }

  async #open(range: KeyRange, kind: WatchKind): Promise<void> {
    const { endpoint, token } = await this.#calls.forStream(createTimeoutMs);
    if (this.#over) return;
    this.#endpoint = endpoint;
    this.#token = token;
    this.#attempt = new RpcAttempt(token, this.#calls.endpoints.ours, () => {});
    const stream = await endpoint.client.watchClient.watch(this.#attempt.callOptions);
    this.#listen(stream);
    if (this.#over) return stream.cancel();
    const deletions: IWatchCreateRequest = { ...range, prev_kv: true, filters: ["Noput"] };
    stream.write({ create_request: kind === "deletions" ? deletions : range });
  }

  #listen(stream: IDuplexStream<IWatchRequest, IWatchResponse>): void {
    stream.on("data", (response) => this.#heard(response));
    stream.on("error", (error) => {
      this.#ended.resolve();
      const status = this.#attempt?.status ?? { code: 2, details: String(error) };
      const kind = classify(status, this.#attempt?.sent === true);
      this.#break(new RpcFailure(kind, `${this.#endpoint?.host ?? "etcd"}: ${ownWords(status.details)}`));
    });
    stream.on("end", () => {
      this.#ended.resolve();
      this.#break(new RpcFailure("unanswered", "the server ended the watch"));
    });
  }

  #heard(response: IWatchResponse): void {
    this.#endpoint?.pulse.heard();
    if (this.#over) return;
    if (response.canceled) {
      const why = response.cancel_reason || `compacted at revision ${response.compact_revision}`;
      // The server judges a watch's token and permission when it is created, and says so only here.
      const kind = why.includes("auth token")
        ? "token"
        : why.includes("permission")
          ? "denied"
          : "unanswered";
      return this.#break(new RpcFailure(kind, `the server cancelled the watch: ${why}`));
    }
    if (response.created) {
      this.#timer.cancel();
      this.#handler.created(BigInt(response.header.revision));
    }
    if (response.events.length > 0) this.#handler.heard(response.events);
  }

  #break(failure: RpcFailure): void {
    if (this.#over) return;
    this.#end();
    if (failure.kind === "token" || failure.kind === "denied") this.#calls.forgetToken(this.#token);
    if (this.#endpoint !== undefined) this.#calls.endpoints.moveOn(this.#endpoint);
    this.#handler.broken(failure);
  }

  #end(): void {
    this.#over = true;
    this.#timer.cancel();
    this.#stopListening();
    this.#attempt?.abandon();
  }
}
