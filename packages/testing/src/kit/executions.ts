import assert from "node:assert/strict";

import type { BeginReply, BeginRequest, Begun, ExtendReply, FinishReply } from "@leasehold/core";

import { show, type Peer, type Fixture } from "./fixture.ts";

/** An execution: what was asked for, and what was answered. */
export type KnownExecution = BeginRequest & Begun;

/** Executions at the level of the contract, in the hands of a case. */
export class Executions {
  readonly #fixture: Fixture;

  constructor(fixture: Fixture) {
    this.#fixture = fixture;
  }

  /** A begin request with defaults: takes over, and does not watch. */
  request(record: string, overrides: Partial<BeginRequest> = {}): BeginRequest {
    const { ttlMs } = this.#fixture;
    return {
      record,
      owner: this.#fixture.owner(),
      fingerprint: "a".repeat(64),
      leaseMs: ttlMs,
      retentionMs: 60 * ttlMs,
      takeOver: true,
      watched: false,
      timeoutMs: 5_000,
      ...overrides,
    };
  }

  begin({ backend }: Peer, request: BeginRequest): Promise<BeginReply> {
    return backend.idempotency.begin(request);
  }

  /** Begins, and fails unless it is this call that executes. */
  async begun(peer: Peer, request: BeginRequest): Promise<KnownExecution> {
    const reply = await this.begin(peer, request);
    assert.equal(reply.kind, "begun", `expected to begin, got ${show(reply)}`);
    return { ...request, ...(reply as Begun) };
  }

  extend({ backend }: Peer, execution: KnownExecution): Promise<ExtendReply> {
    const { record, owner, token, leaseMs, retentionMs } = execution;
    return backend.idempotency.extend({ record, owner, token, leaseMs, retentionMs, timeoutMs: 5_000 });
  }

  /** Ends an execution; a body that is given is its result. */
  finish(
    { backend }: Peer,
    {
      record,
      owner,
      token,
      retentionMs,
    }: Pick<KnownExecution, "record" | "owner" | "retentionMs"> & {
      readonly token: bigint | null;
    },
    outcome: "completed" | "failed" | "released",
    body: string | null = null,
  ): Promise<FinishReply> {
    return backend.idempotency.finish({ record, owner, token, outcome, body, retentionMs, timeoutMs: 5_000 });
  }

  /** Resolves when the lease has ended in the store, whatever a server takes to notice. */
  async ended(peer: Peer, { record, leaseMs }: KnownExecution): Promise<void> {
    const probe = this.request(record, { takeOver: false });
    await this.#fixture.elapse(leaseMs);
    await this.#fixture.until("the lease has ended", leaseMs + 1_500, async () => {
      const { kind } = await this.begin(peer, probe);
      assert.ok(kind === "expired" || kind === "in-progress", `an unfinished record is ${kind}`);
      return kind === "expired";
    });
  }
}
