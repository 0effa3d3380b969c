import assert from "node:assert/strict";

import type { BeginReply, BeginRequest, Begun, ExtendReply, FinishReply } from "@leasehold/core";

import { show, type Actor, type Stage } from "./stage.ts";

/** An execution on the stage: what was asked for, and what was answered. */
export type StagedExecution = BeginRequest & Begun;

/** Executions at the level of the contract, in the hands of a case. */
export class Executions {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** A begin request with defaults: takes over, and does not watch. */
  request(record: string, overrides: Partial<BeginRequest> = {}): BeginRequest {
    const { ttlMs } = this.#stage;
    return {
      record,
      owner: this.#stage.owner(),
      fingerprint: "a".repeat(64),
      leaseMs: ttlMs,
      retentionMs: 60 * ttlMs,
      takeOver: true,
      watched: false,
      timeoutMs: 5_000,
      ...overrides,
    };
  }

  begin({ backend }: Actor, request: BeginRequest): Promise<BeginReply> {
    return backend.idempotency.begin(request);
  }

  /** Begins, and fails unless it is this call that executes. */
  async begun(actor: Actor, request: BeginRequest): Promise<StagedExecution> {
    const reply = await this.begin(actor, request);
    assert.equal(reply.kind, "begun", `expected to begin, got ${show(reply)}`);
    return { ...request, ...(reply as Begun) };
  }

  extend({ backend }: Actor, execution: StagedExecution): Promise<ExtendReply> {
    const { record, owner, token, leaseMs, retentionMs } = execution;
    return backend.idempotency.extend({ record, owner, token, leaseMs, retentionMs, timeoutMs: 5_000 });
  }

  /** Ends an execution; a body that is given is its result. */
  finish(
    { backend }: Actor,
    {
      record,
      owner,
      token,
      retentionMs,
    }: Pick<StagedExecution, "record" | "owner" | "retentionMs"> & {
      readonly token: bigint | null;
    },
    outcome: "completed" | "failed" | "released",
    body: string | null = null,
  ): Promise<FinishReply> {
    return backend.idempotency.finish({ record, owner, token, outcome, body, retentionMs, timeoutMs: 5_000 });
  }

  /** Resolves when the lease has ended in the store, whatever a server takes to notice. */
  async ended(actor: Actor, { record, leaseMs }: StagedExecution): Promise<void> {
    const probe = this.request(record, { takeOver: false });
    await this.#stage.elapse(leaseMs);
    await this.#stage.until("the lease has ended", leaseMs + 1_500, async () => {
      const { kind } = await this.begin(actor, probe);
      assert.ok(kind === "expired" || kind === "in-progress", `an unfinished record is ${kind}`);
      return kind === "expired";
    });
  }
}
