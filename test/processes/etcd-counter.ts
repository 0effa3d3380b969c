import { staleToken } from "@leasehold/core";
import { etcdFencingGuard, type EtcdFencingGuard } from "@leasehold/etcd";
import { Etcd3 } from "etcd3";

import type { GuardedResource } from "./contender.ts";

/**
 * A counter that lives in etcd, behind a fence in the same etcd: every write is one transaction
 * with the fence's compare.
 */
export class EtcdCounter implements GuardedResource {
  readonly #client: Etcd3;
  readonly #guard: EtcdFencingGuard;
  readonly #name: string;

  constructor(hosts: readonly string[], name: string) {
    this.#client = new Etcd3({ hosts: [...hosts] });
    this.#guard = etcdFencingGuard(this.#client);
    this.#name = name;
  }

  async claim(token: bigint): Promise<number> {
    await this.#guard.claim(this.#name, token);
    const { kvs } = await this.#client.kv.range({ key: this.#key });
    return Number(kvs[0]?.value.toString() ?? 0);
  }

  async write(token: bigint, value: number): Promise<number> {
    const { succeeded } = await this.#client.kv.txn({
      compare: this.#guard.compare(this.#name, token),
      success: [{ request_put: { key: this.#key, value: Buffer.from(String(value)) } }],
    });
    if (!succeeded) throw staleToken(token, null);
    return value;
  }

  close(): void {
    this.#client.close();
  }

  get #key(): Buffer {
    return Buffer.from(`counters/${this.#name}`);
  }
}
