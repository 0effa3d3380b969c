import type {
  BeginReply,
  BeginRequest,
  ExtendRequest,
  FinishReply,
  FinishRequest,
} from "../contract/idempotency-store.ts";

interface Record {
  state: "in-progress" | "completed" | "failed" | "released";
  owner: string;
  token: bigint;
  attempt: number;
  fingerprint: string;
  body: string | null;
  leaseEndsMs: number;
  retainedUntilMs: number;
}

/** How many records each step checks for their end: more than it adds, so they do not pile up. */
const sweptPerStep = 2;

/** The records of a `MemoryStore`. Each method is one step, in which nothing else happens. */
export class IdempotencyRecords {
  readonly #records = new Map<string, Record>();
  readonly #nowMs: () => number;
  readonly #draw: () => bigint;
  readonly #changed: (record: string) => void;
  #sweep: Iterator<[string, Record]> = this.#records.entries();

  constructor(nowMs: () => number, options: { draw: () => bigint; changed: (record: string) => void }) {
    this.#nowMs = nowMs;
    this.#draw = options.draw;
    this.#changed = options.changed;
  }

  begin(
    request: BeginRequest,
  ): Exclude<BeginReply, { kind: "begun" }> | { kind: "begun"; token: bigint; attempt: number } {
    const { record: name, owner, fingerprint } = request;
    const nowMs = this.#nowMs();
    this.#forgetSome(nowMs);
    const record = this.#find(name, nowMs);
    if (record !== null && record.fingerprint !== fingerprint) return { kind: "mismatch" };
    if (record === null || record.state === "released") return this.#begin(request, record, nowMs);
    const { state, attempt } = record;
    if (state !== "in-progress")
      return { kind: "finished", outcome: state, body: record.body, token: record.token, attempt };
    if (record.owner === owner) {
      refresh(record, request, nowMs);
      return { kind: "begun", token: record.token, attempt };
    }
    if (nowMs < record.leaseEndsMs) return { kind: "in-progress", remainingMs: record.leaseEndsMs - nowMs };
    return request.takeOver ? this.#begin(request, record, nowMs) : { kind: "expired", attempt };
  }

  extend(request: ExtendRequest): "extended" | "fenced" | "missing" {
    const nowMs = this.#nowMs();
    const record = this.#find(request.record, nowMs);
    if (record === null) return "missing";
    if (record.state !== "in-progress" || !isBy(record, request)) return "fenced";
    refresh(record, request, nowMs);
    return "extended";
  }

  finish(request: FinishRequest): FinishReply {
    const nowMs = this.#nowMs();
    const record = this.#find(request.record, nowMs);
    if (record === null) return "missing";
    if (!isBy(record, request)) return "fenced";
    if (record.state !== "in-progress") return record.state === request.outcome ? "done" : "fenced";
    record.state = request.outcome;
    record.body = request.body;
    record.retainedUntilMs = nowMs + request.retentionMs;
    this.#changed(request.record);
    return "done";
  }

  clear(): void {
    const names = [...this.#records.keys()];
    this.#records.clear();
    for (const name of names) this.#changed(name);
  }

  #begin(
    request: BeginRequest,
    before: Record | null,
    nowMs: number,
  ): { kind: "begun"; token: bigint; attempt: number } {
    const { owner, fingerprint } = request;
    const token = this.#draw();
    const attempt = (before?.attempt ?? 0) + 1;
    const record: Record = {
      state: "in-progress",
      ...{ owner, token, attempt, fingerprint },
      body: null,
      leaseEndsMs: 0,
      retainedUntilMs: 0,
    };
    refresh(record, request, nowMs);
    this.#records.set(request.record, record);
    if (before !== null) this.#changed(request.record);
    return { kind: "begun", token, attempt };
  }

  #find(name: string, nowMs: number): Record | null {
    const record = this.#records.get(name);
    if (record === undefined) return null;
    if (nowMs < record.retainedUntilMs) return record;
    this.#records.delete(name);
    return null;
  }

  #forgetSome(nowMs: number): void {
    for (let left = sweptPerStep; left > 0; left--) {
      const next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = this.#records.entries();
        return;
      }
      const [name, record] = next.value;
      if (nowMs >= record.retainedUntilMs) this.#records.delete(name);
    }
  }
}

function refresh(
  record: Record,
  { leaseMs, retentionMs }: ExtendRequest | BeginRequest,
  nowMs: number,
): void {
  record.leaseEndsMs = nowMs + leaseMs;
  record.retainedUntilMs = nowMs + Math.max(retentionMs, leaseMs);
}

function isBy(record: Record, { owner, token }: { owner: string; token: bigint | null }): boolean {
  return record.owner === owner && (token === null || record.token === token);
}
