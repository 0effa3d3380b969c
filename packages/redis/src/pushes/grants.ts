import { elapsedMs, type Clock, type GrantListener, type GrantPush } from "@leasehold/core";
import { decodeTicket } from "../scripts/decode-reply.ts";
import { resourceOf } from "../scripts/keys.ts";
import type { Subscriber } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";

/** How many grants that nobody waits for are given back at a time; the others end with their ttl. */
const MOST_STRAYS = 64;

export interface GrantPushesOptions {
  readonly subscriber: Subscriber;
  readonly clock: Clock;
  /** This process's inbox. */
  readonly channel: string;
  /** Releases a claim that was granted, and that nobody here waits for. */
  readonly giveBack: (push: GrantPush) => Promise<unknown>;
}

/** Passes pushed grants on to who waits for them, and gives back those that nobody waits for. */
export class GrantPushes {
  readonly channel: string;
  readonly #subscriber: Subscriber;
  readonly #clock: Clock;
  readonly #giveBack: GrantPushesOptions["giveBack"];
  readonly #listeners = new Set<GrantListener>();
  readonly #strays = new Set<string>();
  #inbox: Subscription | undefined;
  /** A claim may have begun to wait, or may have been granted, while nothing was heard. */
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

  /** Waits until pushes are heard, for `timeoutMs` at most; resolves with how long that took. */
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

  #opened(): void {
    const missed = this.#missed;
    // Between this opening and the next one there is a gap.
    this.#missed = true;
    // Pushes may have been missed: who waits has to ask.
    if (missed) for (const listener of this.#listeners) listener.lookAgain();
  }

  #receive(message: string): void {
    const push = decodePush(message);
    if (push === undefined) return;
    // Each listener is asked, not only until one knows: several coordinators may share this backend.
    const known = [...this.#listeners].map((listener) => listener.granted(push)).includes(true);
    if (known || this.#strays.has(push.owner) || this.#strays.size >= MOST_STRAYS) return;
    this.#strays.add(push.owner);
    // In vain at worst: then the claim ends with its ttl, since nobody renews it.
    this.#giveBack(push)
      .catch(() => {})
      .finally(() => this.#strays.delete(push.owner));
  }
}

/** `<ticket> <key of the hash> <owner>`; undefined for anything else, which anybody may have published. */
export function decodePush(message: string): GrantPush | undefined {
  const [, digits, base = "", owner = ""] = /^(\d+) (.*\}) (\S+)$/s.exec(message) ?? [];
  const ticket = decodeTicket(digits);
  const resource = resourceOf(base);
  return ticket === undefined || resource === undefined ? undefined : { resource, owner, ticket };
}
