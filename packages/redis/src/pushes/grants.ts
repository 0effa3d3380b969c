import { elapsedMs, type Clock, type GrantListener, type GrantPush } from "@leasehold/core";
import { decodePush } from "../scripts/decode-reply.ts";
import type { Subscriber } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";

/**
 * How many claims that nobody waits for are given back at a time. The others end with their ttl.
 */
const MOST_STRAYS = 64;

export interface GrantPushesOptions {
  readonly subscriber: Subscriber;
  readonly clock: Clock;
  /** This process's inbox. */
  readonly channel: string;
  /** Releases a claim that was granted, and that nobody here waits for. */
  readonly giveBack: (push: GrantPush) => Promise<unknown>;
}

/** Passes pushed grants on to their waiters, and gives back those that nobody waits for. */
export class GrantPushes {
  readonly channel: string;
  readonly #subscriber: Subscriber;
  readonly #clock: Clock;
  readonly #giveBack: GrantPushesOptions["giveBack"];
  readonly #listeners = new Set<GrantListener>();
  readonly #strays = new Set<string>();
  /** Owners of claims that wait in a line, and whose grant was not pushed yet. */
  readonly #awaited = new Set<string>();
  #inbox: Subscription | undefined;
  /** A claim may have joined the line, or may have been granted, while nothing was heard. */
  #missed = false;

  constructor(options: GrantPushesOptions) {
    this.channel = options.channel;
    this.#subscriber = options.subscriber;
    this.#clock = options.clock;
    this.#giveBack = options.giveBack;
  }

  get isOpen(): boolean {
    return this.#inbox?.isOpen ?? false;
  }

  /** Waits until pushes are heard, for `timeoutMs` at most. Resolves with how long it waited. */
  async open(timeoutMs: number): Promise<number> {
    const start = this.#clock.now();
    this.#inbox ??= this.#subscriber.subscribe(this.channel, {
      onMessage: (message) => this.#receive(message),
      onOpen: () => this.#opened(),
    });
    await this.#inbox.settled(timeoutMs);
    if (!this.isOpen) this.#missed = true;
    return elapsedMs(this.#clock, start);
  }

  close(): void {
    this.#inbox?.close();
    this.#listeners.clear();
  }

  add(listener: GrantListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * An acquire that was given up has put a claim into the store after all. It is released, unless
   * somebody here still wants it: the same owner may be asking again at this moment, and a release
   * would take its claim. Without a listener nobody can tell.
   */
  cameLate(owner: string, release: () => Promise<unknown>): void {
    const listeners = [...this.#listeners];
    if (listeners.length > 0 && listeners.every((listener) => listener.knows?.(owner) === false))
      this.#takeOut(owner, release);
  }

  /** The claim waits in a line: its grant is to be pushed. */
  queued(owner: string): void {
    this.#awaited.add(owner);
  }

  /** The claim does not wait any more: granted by an answer, released or dead. */
  forget(owner: string): void {
    this.#awaited.delete(owner);
  }

  /** A renewal found the claim granted. If no push said so, pushes may not be heard at all. */
  found(owner: string): void {
    if (this.#awaited.delete(owner)) this.#subscriber.doubt();
  }

  #opened(): void {
    const missed = this.#missed;
    // Between this opening and the next one there is a gap.
    this.#missed = true;
    // Pushes may have been missed, so every waiting claim has to be asked about.
    if (missed) for (const listener of this.#listeners) listener.lookAgain();
  }

  #receive(message: string): void {
    const push = decodePush(message);
    if (push === undefined) return;
    this.#awaited.delete(push.owner);
    // All listeners are asked, even after one knows: several coordinators may share this backend.
    const known = [...this.#listeners].map((listener) => listener.granted(push)).includes(true);
    if (!known) this.#takeOut(push.owner, () => this.#giveBack(push));
  }

  #takeOut(owner: string, release: () => Promise<unknown>): void {
    if (this.#strays.has(owner) || this.#strays.size >= MOST_STRAYS) return;
    this.#strays.add(owner);
    // If this fails the claim ends with its ttl, since nobody renews it.
    release()
      .catch(() => {})
      .finally(() => this.#strays.delete(owner));
  }
}
