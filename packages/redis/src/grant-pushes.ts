import { elapsedMs, type Clock, type GrantListener, type GrantPush } from "@leasehold/core";
import { decodeTicket } from "./decode-reply.ts";
import { Inbox } from "./inbox.ts";
import type { ClusterClient, RedisClient } from "./client.ts";
import type { Degradations } from "./degradations.ts";
import { resourceOf } from "./keys.ts";

/** How many grants that nobody waits for are given back at a time; the others end with their ttl. */
const MOST_STRAYS = 64;

export interface GrantPushesOptions {
  readonly source: RedisClient | ClusterClient;
  readonly degradations: Degradations;
  readonly clock: Clock;
  readonly channel: string;
  /** Releases a claim that was granted, and that nobody here waits for. */
  readonly giveBack: (push: GrantPush) => Promise<unknown>;
}

/** Passes pushed grants on to who waits for them, and gives back those that nobody waits for. */
export class GrantPushes {
  readonly channel: string;
  readonly #clock: Clock;
  readonly #giveBack: GrantPushesOptions["giveBack"];
  readonly #listeners = new Set<GrantListener>();
  readonly #strays = new Set<string>();
  readonly #inbox: Inbox;

  constructor(options: GrantPushesOptions) {
    this.channel = options.channel;
    this.#clock = options.clock;
    this.#giveBack = options.giveBack;
    this.#inbox = new Inbox({
      ...options,
      onMessage: (message) => this.#receive(message),
      // Pushes may have been missed: who waits has to ask.
      onGap: () => {
        for (const listener of this.#listeners) listener.lookAgain();
      },
    });
  }

  get isOpen(): boolean {
    return this.#inbox.isOpen;
  }

  /** Waits until pushes are heard, for `timeoutMs` at most; resolves with how long that took. */
  async open(timeoutMs: number): Promise<number> {
    const start = this.#clock.now();
    await this.#inbox.open(timeoutMs);
    return elapsedMs(this.#clock, start);
  }

  close(): void {
    this.#inbox.close();
    this.#listeners.clear();
  }

  add(listener: GrantListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
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
