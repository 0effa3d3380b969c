import { isLeaseholdError } from "@leasehold/core";

import type { PlainResponse } from "./outgoing.ts";

interface ProblemText {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
}

/** The last part of a problem's `type`: stable, clients may switch on it. */
export type ProblemName =
  | "key-missing"
  | "key-malformed"
  | "request-too-large"
  | "in-progress"
  | "taken-over"
  | "outcome-unknown"
  | "response-not-kept"
  | "key-reused"
  | "store-unavailable"
  | "interrupted";

/** What a client may be told. Nothing of the store, of the scope, or of the key it sent. */
const problems: Readonly<Record<ProblemName, ProblemText>> = {
  "key-missing": {
    status: 400,
    title: "Idempotency-Key is missing",
    detail:
      'This operation needs an Idempotency-Key header: a key of your own for this request, in double quotes, as in Idempotency-Key: "8e03978e-40d5-43dd-bc93-6894a57f9324".',
  },
  "key-malformed": {
    status: 400,
    title: "Idempotency-Key is malformed",
    detail:
      "The Idempotency-Key header must come once, and be a string of 1 to 255 characters in double quotes (a Structured-Field string, RFC 9651).",
  },
  "request-too-large": {
    status: 413,
    title: "The request is too large",
    detail:
      "The payload of a request with an Idempotency-Key is larger, or nested more deeply, than this service takes.",
  },
  "in-progress": {
    status: 409,
    title: "A request is outstanding for this Idempotency-Key",
    detail:
      "An earlier request with this key is still being processed. Repeat this one, with the same key, after the time in Retry-After.",
  },
  "taken-over": {
    status: 409,
    title: "Another request has taken over this Idempotency-Key",
    detail:
      "This request was outstanding for so long that another one with the same key was processed in its place. Repeat it, with the same key, to get that one's result.",
  },
  "outcome-unknown": {
    status: 409,
    title: "The outcome of this Idempotency-Key is unknown",
    detail:
      "An earlier request with this key was interrupted, and may or may not have had its effect. It is not repeated: ask for the state of the resource, or for help.",
  },
  "response-not-kept": {
    status: 409,
    title: "Executed already, and the response was not kept",
    detail:
      "An earlier request with this key was processed to its end. Its response was too large to be kept, or a stream: ask for the state of the resource.",
  },
  "key-reused": {
    status: 422,
    title: "Idempotency-Key is already used",
    detail: "This key was used for another request. Take a new key for a new request.",
  },
  "store-unavailable": {
    status: 503,
    title: "Idempotency-Key cannot be checked",
    detail:
      "It cannot be told at the moment whether this request was processed before, so it was not processed now. Repeat it, with the same key.",
  },
  interrupted: {
    status: 503,
    title: "The request was interrupted",
    detail:
      "This request was interrupted, and may or may not have had its effect. Repeat it, with the same key, to get its result.",
  },
};

export interface Problem {
  readonly name: ProblemName;
  /** For `Retry-After`; undefined: none is sent. */
  readonly retryAfterMs?: number;
}

/** Where the store is out of reach nobody knows for how long. */
const outageMs = 5_000;

/**
 * What an error of `run` means to the client; null if it is none of ours to tell.
 *
 * `IDEMPOTENCY_FENCED` is a 409 and no 500: nothing broke that asking again would not mend. The key has been given to another
 * execution, whose result the same request, repeated, gets; a 500 would say that the outcome is lost, and many clients do not
 * repeat after it. What this execution did stays with the resource's fence.
 */
export function problemOf(error: unknown): Problem | null {
  if (!isLeaseholdError(error)) return null;
  const { code, retryAfterMs, permanent } = error;
  switch (code) {
    case "IDEMPOTENCY_IN_PROGRESS":
      return { name: "in-progress", retryAfterMs: retryAfterMs ?? 1_000 };
    case "IDEMPOTENCY_MISMATCH":
      return { name: "key-reused" };
    case "IDEMPOTENCY_FENCED":
      return { name: "taken-over", retryAfterMs: 1_000 };
    case "IDEMPOTENCY_RESULT_UNAVAILABLE":
      return { name: "response-not-kept" };
    case "OUTCOME_UNKNOWN":
      // For good, with onExpired "fail"; otherwise the question was not answered, and the handler did not run.
      return permanent ? { name: "outcome-unknown" } : { name: "store-unavailable", retryAfterMs: outageMs };
    case "BACKEND_UNAVAILABLE":
      return permanent
        ? { name: "store-unavailable" }
        : { name: "store-unavailable", retryAfterMs: retryAfterMs ?? outageMs };
    case "CLOSED":
      // Another replica answers.
      return { name: "store-unavailable", retryAfterMs: 1_000 };
    case "LEASE_LOST":
      return { name: "interrupted", retryAfterMs: 1_000 };
    case "ACQUIRE_TIMEOUT":
    case "STALE_TOKEN":
    case "TOO_MANY_WAITERS":
    case "SHAPE_MISMATCH":
    case "INVALID_ARGUMENT":
      return null;
  }
}

/** `application/problem+json` (RFC 9457). `types`: what the name of a problem is appended to, to make its URI. */
export function problemResponse({ name, retryAfterMs }: Problem, types: string): PlainResponse {
  const { status, title, detail } = problems[name];
  const retryAfter =
    retryAfterMs === undefined
      ? []
      : [["retry-after", String(Math.max(1, Math.ceil(retryAfterMs / 1_000)))] as const];
  return {
    status,
    headers: [["content-type", "application/problem+json"], ["cache-control", "no-store"], ...retryAfter],
    body: Buffer.from(JSON.stringify({ type: types + name, title, status, detail })),
  };
}
