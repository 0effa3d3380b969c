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
import type { Connection } from "./client/connection.ts";
import type { Changes } from "./pushes/changes.ts";
import { decodeBeginning, decodeExtension, decodeFinish } from "./scripts/decode-reply.ts";
import { recordKeys, ticketDigits, type RecordKeys } from "./scripts/keys.ts";
import { maxBodyBytes, outcomeLetters } from "./scripts/record.ts";
import { scripts } from "./scripts/script.ts";

export interface IdempotencyStoreOptions {
  readonly connection: Connection;
  readonly changes: Changes;
  readonly prefix: string;
}

/**
 * The idempotency store on Redis: one hash for each record, one script for each call of the
 * contract.
 *
 * A client that was handed in may write a request twice, and each of two copies may come late.
 * Claims need a mark against that (`resent`, rule R7). Records do not: the script compares each
 * copy with the owner and, where it changes an execution, with the token, which one call alone has.
 *
 * - A second begin finds its own execution, and answers the same. After the finish it finds that;
 *   after a takeover it finds another's execution.
 * - A second extend refreshes what the first one did. After the end of its execution it is fenced.
 * - A second finish finds the outcome that it asks for: done. After a takeover it is fenced.
 *
 * What is left is a begin that comes after its own execution was released: it begins one that
 * nobody executes. Nobody extends its lease, so it is over after one lease. An attempt is counted,
 * and nothing is executed.
 */
export class RedisIdempotencyStore implements IdempotencyStore {
  readonly maxBodyBytes: number = maxBodyBytes;
  readonly #options: IdempotencyStoreOptions;

  constructor(options: IdempotencyStoreOptions) {
    this.#options = options;
  }

  async begin(request: BeginRequest): Promise<BeginReply> {
    const { record, owner, fingerprint, leaseMs, retentionMs, takeOver, watched, timeoutMs } = request;
    const { hash, changes } = this.#keysOf(record);
    const { value: beginning, validFrom } = await this.#options.connection.call({
      script: scripts.begin,
      keys: [hash],
      args: [
        owner,
        fingerprint,
        String(leaseMs),
        wholeMs(retentionMs),
        flag(takeOver),
        flag(watched),
        changes,
      ],
      timeoutMs,
      decode: decodeBeginning,
      wrote: ({ kind }) => kind === "begun",
    });
    return beginning.kind === "begun" ? { ...beginning, leaseMs, validFrom } : beginning;
  }

  async extend(request: ExtendRequest): Promise<ExtendReply> {
    const { record, owner, token, leaseMs, retentionMs, timeoutMs } = request;
    const { value: kind, validFrom } = await this.#options.connection.call({
      script: scripts.extend,
      keys: [this.#keysOf(record).hash],
      args: [owner, ticketDigits(token), String(leaseMs), wholeMs(retentionMs)],
      timeoutMs,
      decode: decodeExtension,
      wrote: (extension) => extension === "extended",
    });
    return kind === "extended" ? { kind, leaseMs, validFrom } : { kind };
  }

  async finish(request: FinishRequest): Promise<FinishReply> {
    const { record, owner, token, outcome, body, retentionMs, timeoutMs } = request;
    if (body !== null && Buffer.byteLength(body) > maxBodyBytes)
      throw invalidArgument(`A stored result must be at most ${maxBodyBytes} bytes on the redis backend.`);
    const { hash, changes } = this.#keysOf(record);
    const digits = token === null ? "" : ticketDigits(token);
    const args = [owner, digits, outcomeLetters[outcome], wholeMs(retentionMs), changes];
    // What was released has no result.
    if (body !== null && outcome !== "released") args.push(body);
    const call = { script: scripts.finish, keys: [hash], args, timeoutMs, decode: decodeFinish };
    const wrote = (reply: FinishReply): boolean => reply === "done";
    return (await this.#options.connection.call({ ...call, wrote })).value;
  }

  watch(record: string, listener: ChangeListener): () => void {
    return this.#options.changes.watch(this.#keysOf(record).changes, listener);
  }

  #keysOf(record: string): RecordKeys {
    return recordKeys(this.#options.prefix, record);
  }
}

/**
 * A retention as an argument. Redis refuses what is no whole number, but only once the script has
 * written the rest: the key would be left without an end.
 */
function wholeMs(retentionMs: number): string {
  if (!Number.isSafeInteger(retentionMs) || retentionMs < 1)
    throw invalidArgument(`retentionMs must be a whole number of milliseconds; it was ${retentionMs}.`);
  return String(retentionMs);
}

function flag(value: boolean): string {
  return value ? "1" : "0";
}
