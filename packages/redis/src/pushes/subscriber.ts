import type { Clock, Timer } from "@leasehold/core";
import { isCluster, socketOf } from "../client/client.ts";
import type { ClusterClient, RedisClient, SubscriberClient } from "../client/client.ts";
import type { Degradations } from "../client/degradations.ts";
import { safeOptions } from "../client/make-client.ts";
import { Subscription, type ChannelListener } from "./subscription.ts";

/** How long one attempt to connect, or to subscribe, may take. */
const ATTEMPT_MS = 3_000;
/** How long to wait before asking again for a channel that the server refuses, which time alone does not mend. */
const REFUSED_MS = 5_000;

export interface SubscriberOptions {
  readonly source: RedisClient | ClusterClient;
  readonly clock: Clock;
  readonly degradations: Degradations;
}

/** A channel that is listened to. A channel given up and taken again is another one, so that no late answer is mistaken. */
interface Channel {
  readonly name: string;
  readonly subscriptions: Set<Subscription>;
  isOpen: boolean;
  isRefused: boolean;
  /** Until when it must be open, or when it is asked for again. */
  timer: Timer | undefined;
}

/**
 * This process's ear: one connection of our own for any number of channels, made when first needed, made anew when lost. In
 * a Cluster it leads to any one master, since what is published on one node is heard on all.
 */
export class Subscriber {
  readonly #options: SubscriberOptions;
  readonly #channels = new Map<string, Channel>();
  #client: SubscriberClient | undefined;
  #isConnected = false;
  #closed = false;
  /** Attempts since a subscription last stood. */
  #failures = 0;
  /** Counts attempts, to take another master each time. */
  #attempts = 0;
  #lossReported = false;
  #refusalReported = false;
  #timer: Timer | undefined;

  constructor(options: SubscriberOptions) {
    this.#options = options;
  }

  /** Begins to listen to a channel, for all of its listeners together. */
  subscribe(name: string, listener: ChannelListener): Subscription {
    const channel = this.#channels.get(name) ?? this.#take(name);
    const subscription: Subscription = new Subscription(listener, this.#options.clock, {
      isOpen: () => channel.isOpen,
      isHopeful: () => this.#failures === 0 && !channel.isRefused && !this.#closed,
      onClose: () => {
        channel.subscriptions.delete(subscription);
        if (channel.subscriptions.size === 0) this.#giveUp(channel);
      },
    });
    channel.subscriptions.add(subscription);
    return subscription;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    for (const channel of this.#channels.values()) channel.timer?.cancel();
    this.#drop();
    this.#wake();
    this.#channels.clear();
  }

  #take(name: string): Channel {
    const subscriptions = new Set<Subscription>();
    const channel: Channel = { name, subscriptions, isOpen: false, isRefused: false, timer: undefined };
    if (this.#closed) return channel;
    this.#channels.set(name, channel);
    if (this.#isConnected) this.#request(channel);
    else if (this.#client === undefined && this.#timer === undefined) this.#attempt();
    return channel;
  }

  #giveUp(channel: Channel): void {
    channel.timer?.cancel();
    if (this.#channels.get(channel.name) !== channel) return;
    this.#channels.delete(channel.name);
    // In vain at worst: what is heard on a channel that nobody listens to is dropped.
    if (this.#isConnected) this.#client?.unsubscribe(channel.name).catch(() => {});
  }

  #attempt(): void {
    this.#timer = undefined;
    const client = this.#makeClient();
    if (client === undefined) return this.#retry();
    this.#client = client;
    client.on("error", () => {});
    client.on("connect", () => socketOf(client)?.unref());
    client.on("end", () => this.#lost(client));
    client.on("message", (name: unknown, message: unknown) => {
      if (this.#client === client && typeof name === "string" && typeof message === "string")
        for (const { listener } of this.#channels.get(name)?.subscriptions ?? []) listener.onMessage(message);
    });
    this.#timer = this.#options.clock.schedule(ATTEMPT_MS, () => this.#lost(client));
    client.connect().then(
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

  #connected(client: SubscriberClient): void {
    if (this.#client !== client) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#isConnected = true;
    for (const channel of this.#channels.values()) this.#request(channel);
  }

  /** One command for each channel: an access list that knows only some would refuse a command that names them all. */
  #request(channel: Channel): void {
    const client = this.#client;
    if (client === undefined) return;
    channel.timer?.cancel();
    channel.timer = this.#options.clock.schedule(ATTEMPT_MS, () => this.#lost(client));
    const isCurrent = (): boolean => this.#client === client && this.#channels.get(channel.name) === channel;
    client.subscribe(channel.name).then(
      () => {
        if (isCurrent()) this.#opened(channel);
      },
      (error: unknown) => {
        if (!(error instanceof Error && error.message.startsWith("NOPERM"))) this.#lost(client);
        else if (isCurrent()) this.#refused(channel);
      },
    );
  }

  #opened(channel: Channel): void {
    channel.timer?.cancel();
    this.#failures = 0;
    this.#lossReported = false;
    if (channel.isRefused) this.#refusalReported = false;
    channel.isRefused = false;
    channel.isOpen = true;
    for (const subscription of channel.subscriptions) {
      subscription.wake();
      subscription.listener.onOpen();
    }
  }

  #refused(channel: Channel): void {
    channel.isRefused = true;
    channel.timer?.cancel();
    channel.timer = this.#options.clock.schedule(REFUSED_MS, () => this.#request(channel));
    for (const subscription of channel.subscriptions) subscription.wake();
    if (this.#refusalReported) return;
    this.#refusalReported = true;
    const message = `The Redis user may not subscribe to "${channel.name}" (see acl.txt): who waits or watches learns of changes by asking only.`;
    this.#options.degradations.report("pushes-interrupted", message);
  }

  #lost(client: SubscriberClient): void {
    if (this.#client !== client) return;
    this.#drop();
    if (this.#channels.size > 0 && !this.#lossReported) {
      this.#lossReported = true;
      const message =
        "The subscription to pushes was lost. Who waits or watches looks again as soon as it is back.";
      this.#options.degradations.report("pushes-interrupted", message);
    }
    this.#retry();
  }

  #retry(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#failures += 1;
    this.#wake();
    const delayMs = Math.min(25 * 2 ** this.#failures, 500);
    this.#timer = this.#options.clock.schedule(delayMs, () => this.#again());
  }

  #again(): void {
    this.#timer = undefined;
    // Nobody listens any more: the next who does begins anew.
    if (this.#channels.size === 0) this.#failures = 0;
    else this.#attempt();
  }

  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    this.#isConnected = false;
    for (const channel of this.#channels.values()) {
      channel.isOpen = false;
      channel.timer?.cancel();
    }
    if (client === undefined) return;
    client.disconnect();
    socketOf(client)?.destroy();
  }

  #wake(): void {
    for (const { subscriptions } of this.#channels.values())
      for (const subscription of subscriptions) subscription.wake();
  }
}
