/** What an etcd was asked, by method: calls started and, for streams, messages received as well. */
export type Counts = Readonly<Record<string, number>>;

const sample = /^grpc_server_(started|msg_received)_total\{(.*)\} (\S+)$/gm;

/**
 * Counts what clients ask of one etcd, by the server's own metrics. `Txn: 1` is one call; `Watch:
 * 1` one stream opened, and
 * `"Watch messages": 2` what was said on streams.
 */
export class GrpcCounter {
  readonly #host: string;
  #before: Counts = {};

  private constructor(host: string) {
    this.#host = host;
  }

  static async watch(host: string): Promise<GrpcCounter> {
    const counter = new GrpcCounter(host);
    await counter.since();
    return counter;
  }

  /** The calls since the last call of this. */
  async since(): Promise<Counts> {
    const now = await this.#read();
    const grown = Object.entries(now).map(
      ([name, count]) => [name, count - (this.#before[name] ?? 0)] as const,
    );
    this.#before = now;
    return Object.fromEntries(grown.filter(([, count]) => count > 0));
  }

  async #read(): Promise<Counts> {
    const response = await fetch(`${this.#host}/metrics`);
    const counts: Record<string, number> = {};
    for (const [, what, labels = "", value] of (await response.text()).matchAll(sample)) {
      // The server's health service has a Watch as well.
      if (!labels.includes('grpc_service="etcdserverpb.')) continue;
      const method = /grpc_method="(\w+)"/.exec(labels)?.[1] ?? "";
      const streams = !labels.includes('grpc_type="unary"');
      // For a unary call both say the same.
      if (what === "started") counts[method] = Number(value);
      else if (streams) counts[`${method} messages`] = Number(value);
    }
    return counts;
  }
}
