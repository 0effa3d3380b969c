import { sleep, systemClock } from "@leasehold/core";
import type { OpenStore } from "./store.ts";
import type { Timeline } from "./timeline.ts";

/** One run of a demo. It ends every wait in it: by a failure, Ctrl-C, or its time limit. */
export class Run {
  readonly store: OpenStore;
  readonly timeline: Timeline;
  readonly #over: AbortController;
  #waiting: (() => void)[] = [];
  readonly #closers: (() => unknown)[] = [];

  constructor(store: OpenStore, timeline: Timeline, over: AbortController) {
    this.store = store;
    this.timeline = timeline;
    this.#over = over;
    this.signal.addEventListener("abort", () => this.changed());
  }

  /** Short: one waits for a takeover. An etcd with its default timing grants no less than 2 s. */
  get ttlMs(): number {
    return this.store.address.kind === "etcd" ? 2_000 : 1_500;
  }

  /** For the first line: how those who take part run, and on what. */
  get where(): string {
    const { address, where } = this.store;
    return address.kind === "memory" ? `simulated in ${where}` : `each a process, on ${where}`;
  }

  /** Aborts at the end of the run, with the reason. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** Ends the run with `error`, unless it has ended. */
  readonly fail = (error: unknown): void => this.#over.abort(error);

  /** Something has happened that `until` may be waiting for. */
  changed(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const lookAgain of waiting) lookAgain();
  }

  /** What `look` finds: it looks now, and whenever something has changed. */
  async until<Found>(look: () => Found | undefined | false): Promise<Found> {
    for (;;) {
      this.signal.throwIfAborted();
      const found = look();
      if (found !== undefined && found !== false) return found;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async sleep(delayMs: number): Promise<void> {
    await sleep(systemClock, delayMs, this.signal, { keepAlive: true });
    this.signal.throwIfAborted();
  }

  /** Settles as `promise` does; rejects if the run ends first. */
  async orEnd<Value>(promise: Promise<Value>): Promise<Value> {
    const ended = Promise.withResolvers<never>();
    const end = (): void => ended.reject(this.signal.reason);
    if (this.signal.aborted) end();
    this.signal.addEventListener("abort", end, { once: true });
    try {
      return await Promise.race([promise, ended.promise]);
    } finally {
      this.signal.removeEventListener("abort", end);
    }
  }

  /** Has `close` called at the end of the run: the last one given first. */
  defer(close: () => unknown): void {
    this.#closers.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).toReversed()) await close();
  }
}
