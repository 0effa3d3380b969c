import { Backoff, sleep, within, type Clock, type Health, type Random, type Timer } from "@leasehold/core";
import { isCluster, type ClusterClient, type RedisClient, type SubscriberClient } from "../client/client.ts";
import { reconnectPace, safeOptions } from "../client/make-client.ts";
import { socketOf } from "../client/socket.ts";
import { Hearing } from "./hearing.ts";
import { Subscription, type ChannelListener } from "./subscription.ts";

/** How long one attempt to connect, or to subscribe, may take. */
const ATTEMPT_MS = 3_000;
/**
 * The pause before a refused channel is asked for again. Only a change of the access list helps.
 */
const REFUSED_MS = 5_000;

export interface SubscriberOptions {
  readonly source: RedisClient | ClusterClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly health: Health;
}

/**
 * A channel that is listened to. A channel given up and taken again is another one, so that no late
 * answer is mistaken.
 */
interface Channel {
  readonly name: string;
  readonly subscriptions: Set<Subscription>;
  isOpen: boolean;
  isRefused: boolean;
}

/**
 * This process's ear: one connection of our own, for any number of channels. It is made when first
 * needed, and made anew when lost. In a Cluster it leads to any one master, since what is published
 * on one node is heard on all.
 */
export class Subscriber {
  readonly #options: SubscriberOptions;
  readonly #backoff: Backoff;
  readonly #channels = new Map<string, Channel>();
  #client: SubscriberClient | undefined;
  #isConnected = false;
  /** Of the present connection, once it stands. */
  #hearing: Hearing | undefined;
  /** Ends what waits for the present connection, once that is dropped. */
  #dropping = new AbortController();
  #retrying: Timer | undefined;
  #closed = false;
  /** An attempt has failed since a subscription last stood. */
  #isFailing = false;
  /** Counts attempts, to take another master each time. */
  #attempts = 0;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#backoff = new Backoff(reconnectPace, options.random);
  }

  /** Begins to listen to a channel, for all of its listeners together. */
  subscribe(name: string, listener: ChannelListener): Subscription {
    const channel = this.#channels.get(name) ?? this.#take(name);
    const subscription: Subscription = new Subscription(listener, this.#options.clock, {
      isOpen: () => channel.isOpen,
      isHopeful: () => !this.#isFailing && !channel.isRefused && !this.#closed,
      onClose: () => {
        channel.subscriptions.delete(subscription);
        if (channel.subscriptions.size === 0) this.#giveUp(channel);
      },
    });
    channel.subscriptions.add(subscription);
    return subscription;
  }

  /**
   * Something should have been heard, and was not. That proves nothing: a push can be refused by
   * the access list, or still be on its way, and whoever is granted by its own renewal gets none.
   * So the connection is not dropped for it, but asked at once.
   */
  doubt(): void {
    this.#hearing?.doubt();
  }

  close(): void {
    this.#closed = true;
    this.#retrying?.cancel();
    this.#drop();
    this.#wake();
    this.#channels.clear();
  }

  #take(name: string): Channel {
    const channel: Channel = { name, subscriptions: new Set(), isOpen: false, isRefused: false };
    if (this.#closed) return channel;
    this.#channels.set(name, channel);
    if (this.#isConnected) this.#request(channel);
    else if (this.#client === undefined && this.#retrying === undefined) this.#attempt();
    return channel;
  }

  #giveUp(channel: Channel): void {
    if (this.#channels.get(channel.name) !== channel) return;
    this.#channels.delete(channel.name);
    this.#mended(channel);
    // In vain at worst: what is heard on a channel that nobody listens to is dropped.
    if (this.#isConnected) this.#client?.unsubscribe(channel.name).catch(() => {});
  }

  #attempt(): void {
    const client = this.#makeClient();
    if (client === undefined) return this.#retry();
    this.#client = client;
    client.on("error", () => {});
    client.on("connect", () => socketOf(client)?.unref());
    client.on("end", () => this.#lost(client));
    client.on("message", (name: unknown, message: unknown) => {
      if (this.#client !== client) return;
      this.#hearing?.heard();
      if (typeof name === "string" && typeof message === "string")
        for (const { listener } of this.#channels.get(name)?.subscriptions ?? []) listener.onMessage(message);
    });
    this.#inTime(client.connect()).then(
      () => this.#connected(client),
      () => this.#lost(client),
    );
  }

  #makeClient(): SubscriberClient | undefined {
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

  /** Rejects if `work` is not done in time, or the connection is dropped. */
  #inTime(work: Promise<unknown>): Promise<unknown> {
    const bound = { clock: this.#options.clock, limitMs: ATTEMPT_MS, signal: this.#dropping.signal };
    return within(work, bound, () => {
      throw new Error("The subscriber's connection was given up.");
    });
  }

  #connected(client: SubscriberClient): void {
    if (this.#client !== client) return;
    this.#isConnected = true;
    this.#hearing = new Hearing({
      clock: this.#options.clock,
      ask: () => client.ping(),
      isNeeded: () => this.#channels.size > 0,
      deaf: () => this.#lost(client),
    });
    for (const channel of this.#channels.values()) this.#request(channel);
  }

  /**
   * Subscribes with one command for each channel. An access list that knows only some of them would
   * refuse a command that names them all.
   */
  #request(channel: Channel): void {
    const client = this.#client;
    if (client === undefined) return;
    const isCurrent = (): boolean => this.#client === client && this.#channels.get(channel.name) === channel;
    this.#inTime(client.subscribe(channel.name)).then(
      () => {
        if (isCurrent()) this.#opened(channel);
      },
      (error: unknown) => {
        if (!(error instanceof Error && error.message.startsWith("NOPERM"))) return this.#lost(client);
        if (!isCurrent()) return;
        this.#refused(channel);
        void sleep(this.#options.clock, REFUSED_MS, this.#dropping.signal).then(() => {
          if (isCurrent()) this.#request(channel);
        });
      },
    );
  }

  #opened(channel: Channel): void {
    this.#backoff.reset();
    this.#isFailing = false;
    this.#mended(this);
    this.#mended(channel);
    channel.isRefused = false;
    channel.isOpen = true;
    for (const subscription of channel.subscriptions) {
      subscription.wake();
      subscription.listener.onOpen();
    }
  }

  #refused(channel: Channel): void {
    channel.isRefused = true;
    for (const subscription of channel.subscriptions) subscription.wake();
    this.#interrupted(
      channel,
      `The Redis user may not subscribe to "${channel.name}" (see acl.txt). Waiters and observers learn of changes by asking only.`,
    );
  }

  #lost(client: SubscriberClient): void {
    if (this.#client !== client) return;
    this.#drop();
    if (this.#channels.size > 0)
      this.#interrupted(
        this,
        "The subscription to pushes was lost. Waiters and observers look again once it is back.",
      );
    this.#retry();
  }

  #retry(): void {
    this.#isFailing = true;
    this.#wake();
    this.#retrying = this.#options.clock.schedule(this.#backoff.nextMs(), () => {
      this.#retrying = undefined;
      if (this.#channels.size > 0) return this.#attempt();
      // Nobody listens any more. The next listener begins anew.
      this.#backoff.reset();
      this.#isFailing = false;
      this.#mended(this);
    });
  }

  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    this.#isConnected = false;
    this.#hearing?.stop();
    this.#hearing = undefined;
    for (const channel of this.#channels.values()) channel.isOpen = false;
    this.#dropping.abort();
    this.#dropping = new AbortController();
    if (client === undefined) return;
    client.disconnect();
    socketOf(client)?.destroy();
  }

  #wake(): void {
    for (const { subscriptions } of this.#channels.values())
      for (const subscription of subscriptions) subscription.wake();
  }

  #interrupted(source: unknown, message: string): void {
    this.#options.health.degraded({ reason: "pushes-interrupted", message }, source);
  }

  #mended(source: unknown): void {
    this.#options.health.restored("pushes-interrupted", source);
  }
}
