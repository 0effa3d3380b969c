import { isCluster, type ClusterClient, type RedisClient, type ScriptClient } from "./client.ts";

/** What a client tells of its connections. Each listener hears what it asks for. */
export interface ClientListener {
  /** An attempt to connect begins. */
  connecting?(): void;
  ready?(): void;
  closed?(): void;
  /** It will not connect again by itself. */
  ended?(): void;
  failed?(error: unknown): void;
  /** A Cluster lost the connection to one of its nodes, without closing. */
  nodeLost?(): void;
}

/**
 * One set of listeners on a client, however many backends share it. With a set for each, Node
 * warns of a leak from the eleventh backend on.
 */
class ClientEvents {
  readonly #client: RedisClient | ClusterClient;
  readonly #listeners = new Set<ClientListener>();
  readonly #handlers: readonly (readonly [event: string, handler: (...args: unknown[]) => void])[];

  constructor(client: RedisClient | ClusterClient) {
    this.#client = client;
    this.#handlers = [
      ["connecting", () => this.#tell((listener) => listener.connecting?.())],
      ["ready", () => this.#tell((listener) => listener.ready?.())],
      ["close", () => this.#tell((listener) => listener.closed?.())],
      ["end", () => this.#tell((listener) => listener.ended?.())],
      ["error", (error: unknown) => this.#tell((listener) => listener.failed?.(error))],
      ["+node", (node: unknown) => (node as ScriptClient).on("close", this.#nodeLost)],
    ];
  }

  /** Returns whether nobody listens any more. */
  remove(listener: ClientListener): boolean {
    if (!this.#listeners.delete(listener) || this.#listeners.size > 0) return false;
    for (const [event, handler] of this.#handlers) this.#client.off(event, handler);
    for (const node of this.#nodes()) node.off("close", this.#nodeLost);
    return true;
  }

  add(listener: ClientListener): void {
    this.#listeners.add(listener);
    if (this.#listeners.size > 1) return;
    for (const [event, handler] of this.#handlers) this.#client.on(event, handler);
    for (const node of this.#nodes()) node.on("close", this.#nodeLost);
  }

  #nodes(): RedisClient[] {
    return isCluster(this.#client) ? this.#client.nodes() : [];
  }

  readonly #nodeLost = (): void => this.#tell((listener) => listener.nodeLost?.());

  #tell(what: (listener: ClientListener) => void): void {
    for (const listener of [...this.#listeners]) what(listener);
  }
}

const eventsOf = new WeakMap<ScriptClient, ClientEvents>();

/** Begins to listen to a client. Returns how to stop. */
export function listenTo(client: RedisClient | ClusterClient, listener: ClientListener): () => void {
  const events = eventsOf.get(client) ?? new ClientEvents(client);
  eventsOf.set(client, events);
  events.add(listener);
  return () => {
    if (events.remove(listener) && eventsOf.get(client) === events) eventsOf.delete(client);
  };
}
