import { isLeaseholdError, type ErrorCode, type LeaseholdError } from "@leasehold/core";

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

/** A guess: nobody knows for how long the store is out of reach. */
const outageMs = 5_000;

/** Whether, and how, a client is told of an error of `run`. */
type Telling = (error: LeaseholdError) => Problem | null;

const notOurs: Telling = () => null;

/** Every code is decided on here: a code that is new to core does not compile until it is. */
const tellings = {
  IDEMPOTENCY_IN_PROGRESS: ({ retryAfterMs = 1_000 }) => ({ name: "in-progress", retryAfterMs }),
  IDEMPOTENCY_MISMATCH: () => ({ name: "key-reused" }),
  // A 409 and no 500: another attempt mends it. The key has been given to another execution, and
  // the same request, repeated, gets that one's result. A 500 would say that the outcome is lost,
  // and many clients do not repeat after it. What this execution did stays with the resource's
  // fence.
  IDEMPOTENCY_FENCED: () => ({ name: "taken-over", retryAfterMs: 1_000 }),
  IDEMPOTENCY_RESULT_UNAVAILABLE: () => ({ name: "response-not-kept" }),
  // Permanent with onExpired "fail". Otherwise the store did not answer: the handler did not run.
  OUTCOME_UNKNOWN: ({ permanent }) =>
    permanent ? { name: "outcome-unknown" } : { name: "store-unavailable", retryAfterMs: outageMs },
  BACKEND_UNAVAILABLE: ({ permanent, retryAfterMs = outageMs }) =>
    permanent ? { name: "store-unavailable" } : { name: "store-unavailable", retryAfterMs },
  // Another replica answers.
  CLOSED: () => ({ name: "store-unavailable", retryAfterMs: 1_000 }),
  LEASE_LOST: () => ({ name: "interrupted", retryAfterMs: 1_000 }),
  ACQUIRE_TIMEOUT: notOurs,
  STALE_TOKEN: notOurs,
  TOO_MANY_WAITERS: notOurs,
  SHAPE_MISMATCH: notOurs,
  INVALID_ARGUMENT: notOurs,
} satisfies Readonly<Record<ErrorCode, Telling>>;

/** What an error of `run` means to the client; null if the client is not told. */
export function problemOf(error: unknown): Problem | null {
  if (!isLeaseholdError(error)) return null;
  // Of another copy of core the code may be one that this version does not know.
  const telling: Telling | undefined = tellings[error.code];
  return telling?.(error) ?? null;
}

/** `application/problem+json` (RFC 9457). Its `type` is `types` and the problem's name. */
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
