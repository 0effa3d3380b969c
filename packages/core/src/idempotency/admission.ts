import { again } from "../base/again.ts";
import { elapsedMs } from "../base/clock.ts";
import { within } from "../base/within.ts";
import type { Context } from "../context.ts";
import type { BeginReply, BeginRequest } from "../contract/idempotency-store.ts";
import { LeaseholdError } from "../errors.ts";
import { attemptTimeoutMs, Begins } from "./begins.ts";
import { WaitingRoom } from "./waiting-room.ts";

const withdrawTimeoutMs = 1_000;

export interface AdmissionOptions {
  /** 0: does not wait. */
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Decides which calls may execute. It begins, and waits where another call executes.
 */
export class Admission {
  readonly #context: Context;
  readonly #begins: Begins;
  readonly #rooms = new Map<string, WaitingRoom>();

  constructor(context: Context) {
    this.#context = context;
    this.#begins = new Begins(context, (request) => this.withdraw(request));
  }

  /**
   * Resolves to `in-progress` only when the wait is over. Rejects with the reason of `signal`, with
   * `CLOSED`, or as the store does. Whatever was begun for a call that rejects is then taken back
   * in the background.
   */
  async enter(
    call: Omit<BeginRequest, "timeoutMs" | "watched">,
    { waitMs, signal }: AdmissionOptions,
  ): Promise<BeginReply> {
    const { clock, closing } = this.#context;
    const request = { ...call, timeoutMs: attemptTimeoutMs, watched: waitMs > 0 };
    const leaving = signal === undefined ? closing : AbortSignal.any([closing, signal]);
    const startedAt = clock.now();
    let room = waitMs > 0 ? this.#rooms.get(request.record) : undefined;
    if (room?.fingerprint !== request.fingerprint) {
      const reply = await this.#orLeave(this.#begins.ask(request), leaving, request);
      if (reply.kind !== "in-progress" || waitMs === 0) return reply;
      room = this.#rooms.get(request.record) ?? this.#open(request);
      room.lookAgain();
    }
    return this.#waitIn(room, request, leaving, waitMs - elapsedMs(clock, startedAt));
  }

  /**
   * Takes back what may have been begun for a call that nobody waits for any more. So the next call
   * need not wait for its lease to end. Repeating this is safe: it names an owner that is never
   * used again. A begin that arrives later than this still blocks its key for one lease.
   */
  withdraw(request: BeginRequest): void {
    this.#context.attend(this.#withdraw(request));
  }

  async #waitIn(
    room: WaitingRoom,
    request: BeginRequest,
    leaving: AbortSignal,
    limitMs: number,
  ): Promise<BeginReply> {
    const left = new AbortController();
    const reply = room.wait(request, left.signal, (unwanted) => this.withdraw(unwanted));
    const late = (): BeginReply => {
      leaving.throwIfAborted();
      return { kind: "in-progress", remainingMs: request.leaseMs };
    };
    const { clock } = this.#context;
    try {
      return await within(reply, { clock, limitMs, signal: leaving, keepAlive: true }, late);
    } finally {
      left.abort();
    }
  }

  /** Rejects at once when the caller leaves. What the store still gives it is given back. */
  #orLeave(reply: Promise<BeginReply>, leaving: AbortSignal, request: BeginRequest): Promise<BeginReply> {
    return within(reply, { clock: this.#context.clock, signal: leaving }, () => {
      reply.then(
        ({ kind }) => kind === "begun" && this.withdraw(request),
        () => undefined,
      );
      throw leaving.reason;
    });
  }

  async #withdraw({ record, owner, leaseMs, retentionMs }: BeginRequest): Promise<void> {
    const { clock, random, backend, closing: signal } = this.#context;
    const release = { record, owner, token: null, outcome: "released", body: null, retentionMs } as const;
    await again(() => backend.idempotency.finish({ ...release, timeoutMs: withdrawTimeoutMs }), {
      ...{ clock, random, signal },
      firstMs: 25,
      longestMs: 1_000,
      withinMs: leaseMs,
    }).catch(() => undefined);
  }

  #open(request: BeginRequest): WaitingRoom {
    const { record } = request;
    const room: WaitingRoom = new WaitingRoom(this.#context, request, () => {
      if (this.#rooms.get(record) === room) this.#rooms.delete(record);
    });
    this.#rooms.set(record, room);
    return room;
  }
}

/** The error of a call that found another one executing. */
export function inProgress(remainingMs: number): LeaseholdError {
  return new LeaseholdError(
    "IDEMPOTENCY_IN_PROGRESS",
    "Another call under this idempotency key is still executing. Ask again later, with the same key.",
    { retryAfterMs: Math.max(1, Math.ceil(remainingMs)) },
  );
}
