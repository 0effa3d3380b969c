import { Backoff, type Random, type Timer } from "@leasehold/core";
import type { IEvent, IWatchCreateRequest, IWatchResponse } from "etcd3";
import type { Calls } from "./calls.ts";
import { RpcFailure } from "./failure.ts";
import { WatchStream } from "./watch-stream.ts";

export interface WatchHandler {
  /**
   * It stands: whatever comes after `revision` is told, in the order of the store. `again`:
   * something before that may have been missed.
   */
  created(revision: bigint, again: boolean): void;
  /** All that there is to tell of one or more whole revisions. */
  heard(events: readonly IEvent[]): void;
  /** Nothing is told until it is created. */
  broken(): void;
}

/**
 * What a watch tells. `deletions`: each with the key as it was before; puts are filtered out at the
 * server, since nobody waits for those who come, and a value that is replaced moves nobody.
 * `changes`: that there was a put or a deletion.
 */
export type WatchKind = "deletions" | "changes";

/** Keys from `key` up to, not including, `range_end`. */
type WatchedKeys = Pick<IWatchCreateRequest, "key" | "range_end">;

/** After a server's restart all its clients come back, and not all at once. */
const pace = { firstMs: 50, longestMs: 2_000 };

/**
 * A stream on which nothing at all comes for this long, while it owes an answer, would be silent
 * for as long as anybody waits.
 */
const silenceMs = 3_000;

/** How many watches are asked for in one turn of the event loop. */
const atOnce = 256;

interface Watch {
  readonly range: WatchedKeys;
  readonly kind: WatchKind;
  readonly handler: WatchHandler;
  readonly backoff: Backoff;
  /** Asked for on the present stream, and not answered yet. */
  asked: boolean;
  /** As the server numbers it on the present stream; undefined until it stands. */
  id: string | undefined;
  /** It did not stand for a while after it was asked for. */
  interrupted: boolean;
  closed: boolean;
  /** Of a revision whose answer comes in several pieces. */
  pieces: IEvent[];
}

/**
 * All watches of a process, on one stream: a stream for each name would be more than a server
 * allows on one connection, and a request each to keep.
 *
 * Each watch begins "now", never at a past revision: those are served by a loop that etcd runs
 * every 100 ms, which is where its own mutex loses its time. What breaks (the server restarted,
 * lost its leader, or compacted what it still had to tell) is made anew, from "now" again. So
 * nothing asks for a revision that may be gone; what was missed is the reader's to look for.
 */
export class WatchHub {
  readonly #calls: Calls;
  readonly #random: Random;
  readonly #backoff: Backoff;
  readonly #watches = new Set<Watch>();
  /** Not asked for yet on the present stream. */
  readonly #wanted = new Set<Watch>();
  /** Asked for and not answered: etcd answers in the order of the requests. */
  #asked: Watch[] = [];
  readonly #standing = new Map<string, Watch>();
  readonly #ending = new Set<Promise<void>>();
  #stream: WatchStream | undefined;
  #asking: Timer | undefined;
  #silence: Timer | undefined;
  #pause: Timer | undefined;
  #closed = false;

  constructor(calls: Calls, random: Random) {
    this.#calls = calls;
    this.#random = random;
    this.#backoff = new Backoff(pace, random);
  }

  /** Tells the handler until the function that this returns is called. */
  watch(range: WatchedKeys, kind: WatchKind, handler: WatchHandler): () => void {
    const watch: Watch = {
      ...{ range, kind, handler, asked: false, id: undefined, interrupted: false, closed: false, pieces: [] },
      backoff: new Backoff(pace, this.#random),
    };
    if (this.#closed) return () => {};
    this.#watches.add(watch);
    this.#want(watch);
    return () => this.#drop(watch);
  }

  /** Ends all watches. Resolves when the stream has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const watch of this.#watches) this.#drop(watch);
    await Promise.all(this.#ending);
  }

  #want(watch: Watch): void {
    if (watch.closed || watch.asked || watch.id !== undefined) return;
    this.#wanted.add(watch);
    if (this.#pause !== undefined) return;
    this.#stream ??= this.#open();
    this.#ask();
  }

  #open(): WatchStream {
    return new WatchStream(this.#calls, {
      heard: (response) => this.#heard(response),
      broken: (failure) => this.#broken(failure),
    });
  }

  /** The rest is asked for in the next turn: ten thousand at once would hold up all else. */
  #ask(): void {
    if (this.#asking !== undefined) return;
    let left = atOnce;
    for (const watch of this.#wanted) {
      if (left-- === 0) {
        this.#asking = this.#calls.clock.schedule(0, () => {
          this.#asking = undefined;
          this.#ask();
        });
        break;
      }
      this.#wanted.delete(watch);
      watch.asked = true;
      this.#asked.push(watch);
      const request = { ...watch.range, fragment: true };
      const deletions = { ...request, prev_kv: true, filters: ["Noput" as const] };
      this.#stream?.write({ create_request: watch.kind === "deletions" ? deletions : request });
    }
    if (this.#silence === undefined) this.#listenForSilence();
  }

  #heard(response: IWatchResponse): void {
    const created = response.created ? this.#asked.shift() : undefined;
    this.#listenForSilence();
    if (created !== undefined) return this.#created(created, response);
    const watch = this.#standing.get(String(response.watch_id));
    if (watch === undefined) return;
    if (response.canceled) return this.#cancelled(watch, response);
    for (const event of response.events) watch.pieces.push(event);
    if (response.fragment || watch.pieces.length === 0) return;
    const events = watch.pieces;
    watch.pieces = [];
    watch.handler.heard(events);
  }

  #created(watch: Watch, response: IWatchResponse): void {
    watch.asked = false;
    if (response.canceled) return this.#cancelled(watch, response);
    const id = String(response.watch_id);
    if (watch.closed) return this.#stream?.write({ cancel_request: { watch_id: id } });
    watch.id = id;
    this.#standing.set(id, watch);
    const again = watch.interrupted;
    watch.interrupted = false;
    watch.backoff.reset();
    this.#backoff.reset();
    this.#calls.health.restored("pushes-interrupted", watch);
    watch.handler.created(BigInt(response.header.revision), again);
  }

  /** The server judges the token and the permission of each watch, and says so only here. */
  #cancelled(watch: Watch, { cancel_reason: said, compact_revision: compacted }: IWatchResponse): void {
    const why = said || `compacted at revision ${compacted}`;
    const isToken =
      why.includes("auth token") || (why.includes("permission") && this.#stream?.isWithoutToken);
    // The token is the stream's: without another, none of its watches can be made again.
    if (isToken === true) return this.#stream?.break(new RpcFailure("token", why));
    this.#interrupt(watch, why);
    this.#calls.clock.schedule(watch.backoff.nextMs(), () => this.#want(watch));
  }

  #broken({ message }: RpcFailure): void {
    this.#stream = undefined;
    this.#forget();
    this.#pause = this.#calls.clock.schedule(this.#backoff.nextMs(), () => {
      this.#pause = undefined;
      for (const watch of this.#watches) this.#want(watch);
    });
    for (const watch of [...this.#watches]) this.#interrupt(watch, message);
  }

  #interrupt(watch: Watch, message: string): void {
    if (watch.id !== undefined) this.#standing.delete(watch.id);
    watch.id = undefined;
    watch.pieces = [];
    watch.interrupted = true;
    if (watch.closed) return;
    this.#calls.health.degraded({ reason: "pushes-interrupted", message: `etcd watch: ${message}` }, watch);
    watch.handler.broken();
  }

  #drop(watch: Watch): void {
    if (!this.#watches.delete(watch)) return;
    watch.closed = true;
    this.#wanted.delete(watch);
    this.#calls.health.restored("pushes-interrupted", watch);
    if (watch.id !== undefined) {
      this.#standing.delete(watch.id);
      this.#stream?.write({ cancel_request: { watch_id: watch.id } });
    }
    if (this.#watches.size === 0) this.#rest();
  }

  /** Nobody watches any more: an open stream would keep the process alive. */
  #rest(): void {
    this.#pause?.cancel();
    this.#pause = undefined;
    const stream = this.#stream;
    this.#stream = undefined;
    this.#forget();
    if (stream === undefined) return;
    const ending = stream.close().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  /** Of the stream that was. */
  #forget(): void {
    this.#asking?.cancel();
    this.#silence?.cancel();
    this.#asking = this.#silence = undefined;
    for (const watch of this.#asked) watch.asked = false;
    this.#asked = [];
    this.#wanted.clear();
    this.#standing.clear();
  }

  #listenForSilence(): void {
    this.#silence?.cancel();
    this.#silence = undefined;
    if (this.#asked.length === 0) return;
    const giveUp = (): void =>
      this.#stream?.break(new RpcFailure("unanswered", "a watch was not created in time"));
    const { clock } = this.#calls;
    // When our own loop was late, timers run before what has arrived meanwhile is read. So that is
    // read first.
    this.#silence = clock.schedule(silenceMs, () => (this.#silence = clock.schedule(0, giveUp)));
  }
}
