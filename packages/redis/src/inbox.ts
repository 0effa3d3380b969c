import type { Clock, Timer } from "@leasehold/core";
import { isCluster, socketOf } from "./client.ts";
import type { ClusterClient, RedisClient, SubscriberClient } from "./client.ts";
import type { Degradations } from "./degradations.ts";
import { safeOptions } from "./make-client.ts";

/** How long one attempt to connect and subscribe may take. */
const ATTEMPT_MS = 3_000;
/** How long to wait before the next attempt when the server refuses the channel, which time alone does not mend. */
const REFUSED_MS = 5_000;

export interface InboxOptions {
  readonly source: RedisClient | ClusterClient;
  readonly channel: string;
  readonly clock: Clock;
  readonly degradations: Degradations;
  readonly onMessage: (message: string) => void;
  /** Pushes may have been missed, and come again from now on. */
  readonly onGap: () => void;
}

/**
 * This process's subscription to the pushes of its grants: one connection of our own, made when first needed, made anew when
 * lost. In a Cluster it leads to any one master, since what is published on one node is heard on all.
 */
export class Inbox {
  readonly #options: InboxOptions;
  #subscriber: SubscriberClient | undefined;
  #open = false;
  #closed = false;
  /** Attempts since the subscription was last open. */
  #failures = 0;
  /** Counts attempts, to take another master each time. */
  #attempts = 0;
  /** A claim may have begun to wait, or may have been granted, while nothing was heard. */
  #missed = false;
  #reported = false;
  #timer: Timer | undefined;
  readonly #waiting = new Set<() => void>();

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /**
   * Resolves when subscribed. Also when that does not succeed in `timeoutMs`: a push is a hint, and a claim that is not
   * pushed learns of its grant by its next renewal. So only the first callers wait, not each one during an outage.
   */
  async open(timeoutMs: number): Promise<void> {
    if (this.#open || this.#closed) return;
    if (this.#failures === 0) {
      if (this.#subscriber === undefined && this.#timer === undefined) this.#attempt();
      await this.#settled(timeoutMs);
    }
    if (!this.#open) this.#missed = true;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#drop();
    this.#wake();
  }

  #settled(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const settle = (): void => {
        timer.cancel();
        this.#waiting.delete(settle);
        resolve();
      };
      const timer = this.#options.clock.schedule(timeoutMs, settle, { keepAlive: true });
      this.#waiting.add(settle);
    });
  }

  #attempt(): void {
    this.#timer = undefined;
    const subscriber = this.#makeSubscriber();
    if (subscriber === undefined) return this.#retry(false);
    this.#subscriber = subscriber;
    const { channel, clock, onMessage } = this.#options;
    const lost = (refused = false): void => {
      if (this.#subscriber === subscriber) this.#lost(refused);
    };
    subscriber.on("error", () => {});
    subscriber.on("connect", () => socketOf(subscriber)?.unref());
    subscriber.on("end", () => lost());
    subscriber.on("message", (_channel: unknown, message: unknown) => {
      if (this.#subscriber === subscriber && typeof message === "string") onMessage(message);
    });
    this.#timer = clock.schedule(ATTEMPT_MS, () => lost());
    subscriber
      .connect()
      .then(() => subscriber.subscribe(channel))
      .then(
        () => {
          if (this.#subscriber === subscriber) this.#opened();
        },
        (error: unknown) => lost(error instanceof Error && error.message.startsWith("NOPERM")),
      );
  }

  #makeSubscriber(): SubscriberClient | undefined {
    const { source } = this.#options;
    const masters = isCluster(source) ? source.nodes("master") : [source];
    const node = masters[this.#attempts++ % Math.max(1, masters.length)];
    return node?.duplicate({
      ...safeOptions,
      // A channel is not a key: ioredis leaves it as it is, and the scripts publish to it as it is.
      keyPrefix: "",
      commandTimeout: undefined,
      // We try again ourselves, on our own clock and, in a Cluster, on another node.
      retryStrategy: null,
    });
  }

  #opened(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#open = true;
    this.#failures = 0;
    this.#reported = false;
    this.#wake();
    if (!this.#missed) return;
    this.#missed = false;
    this.#options.onGap();
  }

  #lost(refused: boolean): void {
    if (this.#open) this.#missed = true;
    this.#open = false;
    this.#drop();
    if (!this.#reported) {
      this.#reported = true;
      const message = refused
        ? "The Redis user may not subscribe to its inbox (see acl.txt): waiters learn of grants by their renewals only."
        : "The subscription to grants was lost. Waiting claims are asked about as soon as it is back.";
      this.#options.degradations.report("pushes-interrupted", message);
    }
    this.#retry(refused);
  }

  #retry(refused: boolean): void {
    this.#timer?.cancel();
    this.#failures += 1;
    this.#wake();
    const delayMs = refused ? REFUSED_MS : Math.min(25 * 2 ** this.#failures, 500);
    this.#timer = this.#options.clock.schedule(delayMs, () => this.#attempt());
  }

  #drop(): void {
    const subscriber = this.#subscriber;
    this.#subscriber = undefined;
    if (subscriber === undefined) return;
    subscriber.disconnect();
    socketOf(subscriber)?.destroy();
  }

  #wake(): void {
    for (const settle of this.#waiting) settle();
  }
}
