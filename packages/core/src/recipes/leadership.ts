import { checkValue } from "../base/arguments.ts";
import type { HeldLease } from "../lease/held-lease.ts";
import type { Lease } from "../lease/lease.ts";
import { encodeClaimValue, type ClaimContent } from "./claim-value.ts";
import type { LineResource } from "./line-resource.ts";

/** A lease of an election. Its fencing token is the term. */
export interface Leadership extends Lease {
  readonly candidate: string;
  /**
   * Greater than the term of every earlier leader. Give it to whatever the leader commands, as a
   * fencing token; it is the same as `fencingToken`.
   */
  readonly term: bigint;
  /**
   * Replaces the value that observers see. One round trip. Rejects with `LEASE_LOST` when somebody
   * else may lead, `OUTCOME_UNKNOWN` when no answer came (proclaim again), `BACKEND_UNAVAILABLE`,
   * or `INVALID_ARGUMENT` when the value is over 4 KiB.
   *
   * @example
   * await leadership.proclaim("http://10.0.0.7:8080");
   */
  proclaim(value: string): Promise<void>;
  /**
   * Hands over: aborts `signal`, then releases. Under `lead` it awaits the body in between, still
   * renewing. So the next leader starts within one push, and never beside the old work. Resolves
   * when released; rejects as `release` does.
   *
   * Do not await it within a body of `lead`: it waits for that body to end.
   *
   * @example
   * process.once("SIGTERM", () => void leadership.resign().catch(() => {}));
   */
  resign(): Promise<"released" | "gone">;
}

const requestTimeoutMs = 5_000;

/** A held lease of an election, which can tell observers something. */
export class HeldLeadership implements Leadership {
  readonly candidate: string;
  readonly term: bigint;
  readonly lease: HeldLease;
  /**
   * The body that runs under it, with `lead`. Null: only the caller knows when the work is over.
   */
  body: Promise<unknown> | null = null;

  readonly #line: LineResource;
  readonly #content: ClaimContent;
  #sequence = 0;
  #resigned = false;

  constructor(line: LineResource, lease: HeldLease, content: ClaimContent & { readonly candidate: string }) {
    this.#line = line;
    this.#content = content;
    this.lease = lease;
    this.candidate = content.candidate;
    this.term = lease.fencingToken;
  }

  get name(): string {
    return this.lease.name;
  }
  get owner(): string {
    return this.lease.owner;
  }
  get fencingToken(): bigint {
    return this.term;
  }
  get signal(): AbortSignal {
    return this.lease.signal;
  }
  get remainingMs(): number {
    return this.lease.remainingMs;
  }
  /** Whether it was given up on purpose. */
  get resigned(): boolean {
    return this.#resigned;
  }

  isHeld(): boolean {
    return this.lease.isHeld();
  }
  assertHeld(marginMs?: number): void {
    this.lease.assertHeld(marginMs);
  }
  release(): Promise<"released" | "gone"> {
    return this.lease.release();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.lease[Symbol.asyncDispose]();
  }

  async proclaim(value: string): Promise<void> {
    const { session, resource } = this.#line;
    // What the candidate says of itself stays beside what it proclaims.
    const text = encodeClaimValue({ ...this.#content, value: checkValue(value) });
    this.assertHeld();
    // Numbered at the call: the later of two calls wins, in whatever order they arrive.
    const sequence = ++this.#sequence;
    const { owner, term: ticket } = this;
    const { leases } = session.context.backend;
    const request = { resource, owner, ticket, value: text, sequence, timeoutMs: requestTimeoutMs };
    if (await leases.propose(request)) return;
    // The store has answered as it would have answered a renewal: belief need not wait for one.
    this.lease.claim.renewed(ticket, { kind: "gone" });
    this.assertHeld();
  }

  async resign(): Promise<"released" | "gone"> {
    this.#resigned = true;
    this.lease.interrupt(new DOMException("The leadership was resigned.", "AbortError"));
    if (this.body !== null) await this.body.catch(() => undefined);
    return this.lease.release();
  }
}
