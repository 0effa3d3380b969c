import { elapsedMs, sleep } from "../base/clock.ts";
import { isLeaseholdError, LeaseholdError } from "../errors.ts";
import type { Session } from "../lease/session.ts";
import type { BeginReply, BeginRequest } from "../contract/idempotency-store.ts";
import { WaitingRoom } from "./waiting-room.ts";

/** How long the store has to answer whether somebody may execute, over all attempts. */
const storeTimeoutMs = 5_000;
/** One attempt of that: a reply that was lost is asked for again. */
const attemptTimeoutMs = 2_000;
const withdrawTimeoutMs = 1_000;

export interface EntryOptions {
  /** 0: does not wait. */
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
}

/** The door to a record: begins, asks again when a reply was lost, waits where others execute. */
export class Entry {
  readonly #session: Session;
  readonly #rooms = new Map<string, WaitingRoom>();

  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Settles with anything but `in-progress`, or with that when the wait is over. Rejects with the reason of `signal`, with
   * `CLOSED`, or as the store does; then whatever was begun for this call is taken back behind the caller's back.
   */
  async enter(call: Omit<BeginRequest, "timeoutMs" | "watched">, options: EntryOptions): Promise<BeginReply> {
    const { waitMs, signal } = options;
    const request = { ...call, timeoutMs: attemptTimeoutMs, watched: waitMs > 0 };
    const { closing } = this.#session;
    const leaving = AbortSignal.any(signal === undefined ? [closing] : [closing, signal]);
    const startedAt = this.#session.clock.now();
    let room = waitMs > 0 ? this.#rooms.get(request.record) : undefined;
    if (room?.fingerprint !== request.fingerprint) {
      const reply = await this.#orLeave(this.#begin(request), leaving, request);
      if (reply.kind !== "in-progress" || waitMs === 0) return reply;
      room = this.#rooms.get(request.record) ?? this.#open(request);
      room.lookAgain();
    }
    return this.#waitIn(room, request, {
      leaving,
      waitMs: waitMs - elapsedMs(this.#session.clock, startedAt),
    });
  }

  async #waitIn(
    room: WaitingRoom,
    request: BeginRequest,
    { leaving, waitMs }: { leaving: AbortSignal; waitMs: number },
  ): Promise<BeginReply> {
    const left = new AbortController();
    const reply = room.wait(request, left.signal, (unwanted) => this.withdraw(unwanted));
    const late = sleep(this.#session.clock, waitMs, AbortSignal.any([left.signal, leaving]), {
      keepAlive: true,
    }).then((): BeginReply => {
      leaving.throwIfAborted();
      return { kind: "in-progress", remainingMs: request.leaseMs };
    });
    try {
      return await Promise.race([reply, late]);
    } finally {
      left.abort();
      late.catch(() => undefined);
    }
  }

  /** The same owner asks again: the store's answer is the same, and tells what the lost reply said. */
  async #begin(request: BeginRequest): Promise<BeginReply> {
    const { clock, random, backend } = this.#session;
    const startedAt = clock.now();
    for (let delayMs = 25; ; delayMs *= 2) {
      const leftMs = storeTimeoutMs - elapsedMs(clock, startedAt);
      try {
        return await backend.idempotency.begin({
          ...request,
          timeoutMs: Math.min(request.timeoutMs, leftMs),
        });
      } catch (error) {
        const unknown = isLeaseholdError(error, "OUTCOME_UNKNOWN");
        if (
          !unknown ||
          storeTimeoutMs - elapsedMs(clock, startedAt) <= delayMs ||
          this.#session.closing.aborted
        ) {
          if (unknown) this.withdraw(request);
          throw error;
        }
      }
      await sleep(clock, delayMs * (0.5 + random.fraction()), this.#session.closing, { keepAlive: true });
    }
  }

  /** Settles at once when the caller leaves; what it may still be given is given back. */
  async #orLeave(
    reply: Promise<BeginReply>,
    leaving: AbortSignal,
    request: BeginRequest,
  ): Promise<BeginReply> {
    const { promise: left, reject } = Promise.withResolvers<never>();
    const leave = (): void => {
      reject(leaving.reason);
      reply.then(
        ({ kind }) => kind === "begun" && this.withdraw(request),
        () => undefined,
      );
    };
    if (leaving.aborted) leave();
    else leaving.addEventListener("abort", leave, { once: true });
    try {
      return await Promise.race([reply, left]);
    } finally {
      leaving.removeEventListener("abort", leave);
    }
  }

  /**
   * Takes back what may have been begun for a call that nobody waits for any more, so that the next one need not wait for its
   * lease to end. By owner, which is never used again. A begin that arrives later still blocks its key for one lease.
   */
  withdraw(request: BeginRequest): void {
    this.#session.attend(this.#withdraw(request));
  }

  async #withdraw({ record, owner, leaseMs, retentionMs }: BeginRequest): Promise<void> {
    const { clock, backend, closing } = this.#session;
    const startedAt = clock.now();
    const finish = { record, owner, token: null, outcome: "released", body: null, retentionMs } as const;
    for (let delayMs = 25; ; delayMs = Math.min(2 * delayMs, 1_000)) {
      try {
        await backend.idempotency.finish({ ...finish, timeoutMs: withdrawTimeoutMs });
        return;
      } catch {
        if (elapsedMs(clock, startedAt) > leaseMs || closing.aborted) return;
      }
      await sleep(clock, delayMs, closing);
    }
  }

  #open(request: BeginRequest): WaitingRoom {
    const { record } = request;
    const room: WaitingRoom = new WaitingRoom(this.#session, request, () => {
      if (this.#rooms.get(record) === room) this.#rooms.delete(record);
    });
    this.#rooms.set(record, room);
    return room;
  }
}

/** What a conflict tells its caller. */
export function inProgress(remainingMs: number): LeaseholdError {
  return new LeaseholdError(
    "IDEMPOTENCY_IN_PROGRESS",
    "Another call under this idempotency key is still executing. Ask again later, with the same key.",
    { retryAfterMs: Math.max(1, Math.ceil(remainingMs)) },
  );
}
