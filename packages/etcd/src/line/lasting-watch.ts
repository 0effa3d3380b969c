import { Backoff, type Random, type Timer } from "@leasehold/core";
import type { IEvent } from "etcd3";
import type { Calls } from "../rpc/calls.ts";
import type { KeyRange } from "../format/claim-keys.ts";
import { WatchStream, type WatchKind } from "./watch-stream.ts";

export interface LastingWatchHandler {
  /**
   * It stands: whatever comes after `revision` is told. `again`: something before that may have
   * been missed.
   */
  created(revision: bigint, again: boolean): void;
  heard(events: readonly IEvent[]): void;
  /** Nothing is told until it is created. */
  broken(): void;
}

/** After a server's restart all its clients come back, and not all at once. */
const pace = { firstMs: 50, longestMs: 2_000 };

/**
 * A watch that is made anew, from "now", whenever it breaks: the server restarted, lost its leader,
 * or compacted what it still had to tell. So it never asks for a revision that may be gone; what
 * was missed is the reader's to look for.
 */
export class LastingWatch {
  readonly #calls: Calls;
  readonly #range: KeyRange;
  readonly #kind: WatchKind;
  readonly #handler: LastingWatchHandler;
  #stream: WatchStream | undefined;
  readonly #backoff: Backoff;
  #timer: Timer | undefined;
  #interrupted = false;

  constructor(calls: Calls, random: Random, range: KeyRange, kind: WatchKind, handler: LastingWatchHandler) {
    this.#calls = calls;
    this.#backoff = new Backoff(pace, random);
    this.#range = range;
    this.#kind = kind;
    this.#handler = handler;
    this.#open();
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#calls.health.restored("pushes-interrupted", this);
    await this.#stream?.close();
  }

  #open(): void {
    this.#stream = new WatchStream(this.#calls, this.#range, this.#kind, {
      created: (revision) => {
        const again = this.#interrupted;
        this.#backoff.reset();
        this.#interrupted = false;
        this.#calls.health.restored("pushes-interrupted", this);
        this.#handler.created(revision, again);
      },
      heard: (events) => this.#handler.heard(events),
      broken: ({ message }) => {
        this.#stream = undefined;
        this.#interrupted = true;
        this.#timer = this.#calls.clock.schedule(this.#backoff.nextMs(), () => this.#open());
        this.#calls.health.degraded(
          { reason: "pushes-interrupted", message: `etcd watch: ${message}` },
          this,
        );
        this.#handler.broken();
      },
    });
  }
}
