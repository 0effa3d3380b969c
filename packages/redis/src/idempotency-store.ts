import { invalidArgument } from "@leasehold/core";
import type {
  BeginReply,
  BeginRequest,
  ChangeListener,
  ExtendReply,
  ExtendRequest,
  FinishReply,
  FinishRequest,
  IdempotencyStore,
} from "@leasehold/core";
import type { Changes } from "./pushes/changes.ts";
import type { Connection } from "./client/connection.ts";
import { decodeBeginning, decodeExtension, decodeFinish } from "./scripts/decode-idempotency-reply.ts";
import type { Degradations } from "./client/degradations.ts";
import { recordKeys, ticketDigits, type RecordKeys } from "./scripts/keys.ts";
import { scripts } from "./scripts/script.ts";
import { maxBodyBytes } from "./scripts/record.ts";
import { unreadableReply } from "./scripts/unreadable-reply.ts";

export interface IdempotencyStoreOptions {
  readonly connection: Connection;
  readonly changes: Changes;
  readonly degradations: Degradations;
  readonly prefix: string;
}

const outcomeLetters: Readonly<Record<FinishRequest["outcome"], string>> = {
  completed: "c",
  failed: "f",
  released: "r",
};

/**
 * The idempotency store on Redis: one hash for each record, one script for each call of the contract.
 *
 * A client that was handed in may write a request twice, and each of two copies may come late. Claims need a mark against
 * that (`resent`, rule R7), records do not: whatever a copy does, it is compared with the owner and, where it changes an
 * execution, with the token, which only one call ever has.
 *
 * - A second begin finds its own execution, and answers the same. One that comes after the finish finds that. One that comes
 *   after a takeover finds another's.
 * - A second extend refreshes what the first one did, and one that comes after the end of its execution is fenced.
 * - A second finish finds the outcome that it asks for: done. One that comes after a takeover is fenced.
 *
 * What is left is a begin that comes after its own execution was released: it begins one that nobody executes. Its lease is
 * not extended, so that is over after one lease, with the attempt counted; and nothing is executed by it.
 */
export class RedisIdempotencyStore implements IdempotencyStore {
  readonly maxBodyBytes: number = maxBodyBytes;
  readonly #options: IdempotencyStoreOptions;

  constructor(options: IdempotencyStoreOptions) {
    this.#options = options;
  }

  async begin(request: BeginRequest): Promise<BeginReply> {
    const { connection, degradations } = this.#options;
    const { record, owner, fingerprint, leaseMs, retentionMs, takeOver, watched, timeoutMs } = request;
    const { hash, changes } = this.#keysOf(record);
    const { value, validFrom } = await connection.call(
      scripts.begin,
      [hash],
      [owner, fingerprint, String(leaseMs), wholeMs(retentionMs), flag(takeOver), flag(watched), changes],
      timeoutMs,
    );
    const beginning = decodeBeginning(value) ?? unreadableReply(hash, degradations);
    return beginning.kind === "begun" ? { ...beginning, leaseMs, validFrom } : beginning;
  }

  async extend(request: ExtendRequest): Promise<ExtendReply> {
    const { connection, degradations } = this.#options;
    const { record, owner, token, leaseMs, retentionMs, timeoutMs } = request;
    const { hash } = this.#keysOf(record);
    const args = [owner, ticketDigits(token), String(leaseMs), wholeMs(retentionMs)];
    const { value, validFrom } = await connection.call(scripts.extend, [hash], args, timeoutMs);
    const kind = decodeExtension(value) ?? unreadableReply(hash, degradations);
    return kind === "extended" ? { kind, leaseMs, validFrom } : { kind };
  }

  async finish(request: FinishRequest): Promise<FinishReply> {
    const { connection, degradations } = this.#options;
    const { record, owner, token, outcome, body, retentionMs, timeoutMs } = request;
    if (body !== null && Buffer.byteLength(body) > maxBodyBytes)
      throw invalidArgument(`A stored result must be at most ${maxBodyBytes} bytes on the redis backend.`);
    const { hash, changes } = this.#keysOf(record);
    const digits = token === null ? "" : ticketDigits(token);
    const args = [owner, digits, outcomeLetters[outcome], wholeMs(retentionMs), changes];
    // What was released has no result.
    if (body !== null && outcome !== "released") args.push(body);
    const { value } = await connection.call(scripts.finish, [hash], args, timeoutMs);
    return decodeFinish(value) ?? unreadableReply(hash, degradations);
  }

  watch(record: string, listener: ChangeListener): () => void {
    return this.#options.changes.watch(this.#keysOf(record).changes, listener);
  }

  #keysOf(record: string): RecordKeys {
    return recordKeys(this.#options.prefix, record);
  }
}

/** Redis would refuse what is no whole number after the script has written the rest, and leave a key without an end. */
function wholeMs(retentionMs: number): string {
  if (!Number.isSafeInteger(retentionMs) || retentionMs < 1)
    throw invalidArgument(`retentionMs must be a whole number of milliseconds; it was ${retentionMs}.`);
  return String(retentionMs);
}

function flag(value: boolean): string {
  return value ? "1" : "0";
}
