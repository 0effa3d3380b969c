import type { ChangeListener } from "../contract/call-options.ts";
import type {
  BeginReply,
  BeginRequest,
  ExtendReply,
  ExtendRequest,
  FinishReply,
  FinishRequest,
  IdempotencyStore,
} from "../contract/idempotency-store.ts";
import type { MemoryLink } from "./link.ts";

/** The idempotency records of a `MemoryStore`, for one process. */
export class MemoryIdempotencyStore implements IdempotencyStore {
  readonly maxBodyBytes: number = 8 * 2 ** 20;
  readonly #link: MemoryLink;

  constructor(link: MemoryLink) {
    this.#link = link;
  }

  async begin(request: BeginRequest): Promise<BeginReply> {
    const { store, clock } = this.#link;
    const validFrom = clock.now();
    const reply = store.records.begin(request);
    return reply.kind === "begun" ? { ...reply, leaseMs: request.leaseMs, validFrom } : reply;
  }

  async extend(request: ExtendRequest): Promise<ExtendReply> {
    const { store, clock } = this.#link;
    const validFrom = clock.now();
    const kind = store.records.extend(request);
    return kind === "extended" ? { kind, leaseMs: request.leaseMs, validFrom } : { kind };
  }

  async finish(request: FinishRequest): Promise<FinishReply> {
    return this.#link.store.records.finish(request);
  }

  watch(record: string, listener: ChangeListener): () => void {
    return this.#link.watch(record, listener);
  }
}
