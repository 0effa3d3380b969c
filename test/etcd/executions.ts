import { randomBytes } from "node:crypto";

import {
  encodeName,
  type Backend,
  type BeginReply,
  type BeginRequest,
  type Begun,
  type ExtendReply,
  type FinishReply,
  type FinishRequest,
} from "@leasehold/core";
import type { Etcd3, IKeyValue } from "etcd3";

export type StagedExecution = BeginRequest & Begun;

/** A complete request, with an owner of its own. */
export function beginRequest(record: string, more: Partial<BeginRequest> = {}): BeginRequest {
  return {
    ...{ record, owner: randomBytes(16).toString("hex"), fingerprint: "a".repeat(64) },
    ...{ leaseMs: 5_000, retentionMs: 60_000, takeOver: true, watched: false, timeoutMs: 2_000 },
    ...more,
  };
}

/** Begins, and fails unless it is this call that executes. */
export async function begun(backend: Backend, request: BeginRequest): Promise<StagedExecution> {
  const reply = await backend.idempotency.begin(request);
  if (reply.kind !== "begun") throw new Error(`not begun: ${reply.kind}`);
  return { ...request, ...reply };
}

export function extend(backend: Backend, execution: StagedExecution): Promise<ExtendReply> {
  return backend.idempotency.extend(execution);
}

/** Ends it: completed, with a result. */
export function finish(
  backend: Backend,
  { record, owner, token, retentionMs }: StagedExecution,
  more: Partial<FinishRequest> = {},
): Promise<FinishReply> {
  const end = { outcome: "completed", body: "result", timeoutMs: 2_000 } as const;
  return backend.idempotency.finish({ record, owner, token, retentionMs, ...end, ...more });
}

/** What another owner is told. */
export function ask(backend: Backend, record: string, more: Partial<BeginRequest> = {}): Promise<BeginReply> {
  return backend.idempotency.begin(beginRequest(record, { takeOver: false, ...more }));
}

export const recordKey = (record: string): string => `leasehold/~idem/${encodeName(record)}/r`;
export const ownerKey = (record: string): string => `leasehold/~idem/${encodeName(record)}/o`;

/** A key as etcd has it. */
export async function keyAt(etcd: Etcd3, key: string): Promise<IKeyValue | undefined> {
  return (await etcd.kv.range({ key: Buffer.from(key) })).kvs[0];
}
