import { nothingProved, type Instant } from "../base/clock.ts";
import type { ChangeListener } from "../contract/call-options.ts";
import type {
  AcquireRequest,
  ClaimRef,
  Granted,
  GrantListener,
  GrantPush,
  LeaseStore,
  Look,
  LookOptions,
  ProposeRequest,
  Queued,
  Refused,
  ReleaseRequest,
  RenewAnswer,
  RenewRequest,
  Snapshot,
} from "../contract/lease-store.ts";
import { LeaseholdError } from "../errors.ts";
import type { Standing } from "./line.ts";
import type { MemoryLink } from "./link.ts";

/** The claims of one process on a `MemoryStore`. */
export class MemoryLeaseStore implements LeaseStore {
  readonly #link: MemoryLink;
  readonly #inbox: string;
  readonly #listeners = new Set<GrantListener>();
  readonly #unsubscribe: () => void;

  /** `inbox`: where the store pushes grants for this process. */
  constructor(link: MemoryLink, inbox: string) {
    this.#link = link;
    this.#inbox = inbox;
    this.#unsubscribe = link.store.subscribe(inbox, (push) => this.#deliver(push));
  }

  async acquire(request: AcquireRequest): Promise<Granted | Queued | Refused> {
    const { store, clock } = this.#link;
    const validFrom = clock.now();
    return answer(store.acquire(request, this.#inbox), request.ttlMs, validFrom);
  }

  async renew(requests: readonly RenewRequest[]): Promise<RenewAnswer[]> {
    return requests.map((request) => this.#renew(request));
  }

  async release(request: ReleaseRequest): Promise<boolean> {
    return this.#link.store.release(request);
  }

  async propose(request: ProposeRequest): Promise<boolean> {
    return this.#link.store.propose(request);
  }

  async evict(request: ClaimRef): Promise<boolean> {
    return this.#link.store.evict(request);
  }

  async inspect(resource: string): Promise<Snapshot> {
    return this.#link.store.inspect(resource);
  }

  async look(resource: string, options: LookOptions): Promise<Look> {
    return this.#link.store.look(resource, options);
  }

  onGrant(listener: GrantListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  watch(resource: string, listener: ChangeListener): () => void {
    return this.#link.watch(resource, listener);
  }

  close(): void {
    this.#unsubscribe();
    this.#listeners.clear();
  }

  #renew(request: RenewRequest): RenewAnswer {
    const { closed, clock } = this.#link;
    if (closed)
      return { kind: "unanswered", error: new LeaseholdError("CLOSED", "This memory backend is closed.") };
    const validFrom = clock.now();
    const standing = this.#link.store.renew(request);
    if (standing?.kind !== "claim") return { kind: "gone" };
    const { claim, aheadMs } = standing;
    const { ticket, granted, evicted } = claim;
    if (evicted) return { kind: "evicted" };
    return { kind: "renewed", ticket, granted, ttlMs: request.ttlMs, validFrom, aheadMs };
  }

  #deliver({ resource, owner, ticket }: GrantPush): void {
    const push = { resource, owner, ticket };
    const known = [...this.#listeners].map((listener) => listener.granted(push)).includes(true);
    // Nobody waits for this grant any more. Unless it is given back, it blocks the line for its
    // ttl.
    if (!known)
      this.#link.store.release({ resource: { name: resource, announce: true }, owner, timeoutMs: 0 });
  }
}

function answer(standing: Standing, ttlMs: number, validFrom: Instant): Granted | Queued | Refused {
  if (standing.kind === "refused") return standing;
  const { claim, aheadMs } = standing;
  const { ticket, granted, evicted } = claim;
  const acknowledged = { ticket, ttlMs, validFrom: evicted ? nothingProved : validFrom };
  return granted ? { kind: "granted", ...acknowledged } : { kind: "queued", ...acknowledged, aheadMs };
}
