import { checkValue } from "../base/arguments.ts";
import { encodeClaimValue, type ClaimContent } from "./claim-value.ts";
import type { HeldLease } from "../lease/held-lease.ts";
import type { Lease } from "../lease/lease.ts";
import type { LineResource } from "./line-resource.ts";

/** A lease of an election. Its fencing token is the term. */
export interface Leadership extends Lease {
  readonly candidate: string;
  /** Greater than every earlier leader's: hand it to what the leader commands. The same as `fencingToken`. */
  readonly term: bigint;
  /**
   * Replaces the value that observers see. One round trip. Rejects with `LEASE_LOST` when somebody else may lead,
   * `OUTCOME_UNKNOWN` when no answer came (proclaim again), `INVALID_ARGUMENT` when the value is over 4 KiB.
   */
  proclaim(value: string): Promise<void>;
  /**
   * Hands over: aborts `signal`, and, under `lead`, awaits the body, still renewing, before it releases; so the next leader
   * starts within one push, and never beside the old work. Resolves when released. Within a body of `lead` do not await it:
   * it waits for the body to end.
   */
  resign(): Promise<"released" | "gone">;
}

const requestTimeoutMs = 5_000;

/** A lease with a voice. */
export class HeldLeadership implements Leadership {
  readonly candidate: string;
  readonly term: bigint;
  readonly lease: HeldLease;
  /** Settles when the body that runs under it has; absent where nobody but the caller knows when the work is over. */
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
    // What the candidate said of itself stays beside what it proclaims.
    const text = encodeClaimValue({ ...this.#content, value: checkValue(value) });
    this.assertHeld();
    // Numbered at the call: of two proclamations the later call wins, in whatever order they arrive.
    const sequence = ++this.#sequence;
    const { owner, term: ticket } = this;
    const { leases } = session.context.backend;
    const request = { resource, owner, ticket, value: text, sequence, timeoutMs: requestTimeoutMs };
    if (await leases.propose(request)) return;
    // The store has answered as it would have a renewal: no need to believe until the next one.
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
