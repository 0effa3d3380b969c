import type { Begun, Expired, Finished, FinishReply, InProgress, Mismatch } from "@leasehold/core";
import { decodeTicket, decodeWhole } from "./decode-reply.ts";
import { maxBodyBytes } from "./record.ts";

/** What a begin was answered. From when it is valid, the connection knows. */
export type Beginning =
  Pick<Begun, "kind" | "token" | "attempt"> | InProgress | Finished | Mismatch | Expired;

/** Strict, as all decoding here: undefined for what the script cannot have sent. */
export function decodeBeginning(reply: unknown): Beginning | undefined {
  if (Array.isArray(reply)) {
    const [head, body, ...more] = reply as unknown[];
    return typeof body === "string" && more.length === 0 ? decodeFinished(head, body) : undefined;
  }
  if (typeof reply !== "string") return undefined;
  if (reply === "m") return { kind: "mismatch" };
  const [word, first, second, ...more] = reply.split(" ");
  if (word === "b" && more.length === 0) return withExecution({ kind: "begun" }, first, second);
  if (second !== undefined) return decodeFinished(reply, null);
  const number = decodeWhole(first);
  if (number === undefined) return undefined;
  if (word === "i") return { kind: "in-progress", remainingMs: number };
  return word === "x" && number > 0 ? { kind: "expired", attempt: number } : undefined;
}

const outcomes: Readonly<Record<string, Finished["outcome"]>> = { c: "completed", f: "failed" };

function decodeFinished(head: unknown, body: string | null): Finished | undefined {
  if (typeof head !== "string" || (body !== null && Buffer.byteLength(body) > maxBodyBytes)) return undefined;
  const [word = "", token, attempt, ...more] = head.split(" ");
  const outcome = Object.hasOwn(outcomes, word) ? outcomes[word] : undefined;
  if (outcome === undefined || more.length > 0) return undefined;
  return withExecution({ kind: "finished", outcome, body }, token, attempt);
}

function withExecution<T extends object>(
  rest: T,
  tokenText: unknown,
  attemptText: unknown,
): (T & { token: bigint; attempt: number }) | undefined {
  const token = decodeTicket(tokenText);
  const attempt = decodeWhole(attemptText);
  return token === undefined || attempt === undefined || attempt === 0
    ? undefined
    : { ...rest, token, attempt };
}

export function decodeExtension(reply: unknown): "extended" | "fenced" | "missing" | undefined {
  return reply === "extended" || reply === "fenced" || reply === "missing" ? reply : undefined;
}

export function decodeFinish(reply: unknown): FinishReply | undefined {
  return reply === "done" || reply === "fenced" || reply === "missing" ? reply : undefined;
}
