import {
  invalidArgument,
  isLeaseholdError,
  type Coordinator,
  type ExecutionContext,
  type IdempotentResult,
} from "@leasehold/core";

import { readKey } from "./key-field.ts";
import { checkOptions, type CheckedOptions, type IdempotencyKeyOptions } from "./options.ts";
import type { Outgoing, PlainResponse } from "./outgoing.ts";
import { comparable } from "./payload.ts";
import { problemOf, problemResponse, type Problem } from "./problem.ts";

/** One request, as an adapter sees it. */
export interface Exchange<R, B> {
  readonly request: R;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly contentType: string | null;
  /** The field lines of `Idempotency-Key`. */
  readonly keyLines: readonly string[];
  /** The body, read once; null if it is larger than that many bytes. */
  readonly body: (maxBytes: number) => Promise<{ readonly body: B } | null>;
  /** Aborts when the client has gone: ends a wait, never a handler. */
  readonly gone: AbortSignal;
}

/**
 * `passed`: the request is not protected, go on without us. `answered`: send this, in place of
 * whatever the handler may have made. `executed`: what the handler made may be sent now.
 */
export type Served =
  | { readonly kind: "passed" }
  | { readonly kind: "answered"; readonly response: PlainResponse }
  | { readonly kind: "executed" };

/** What a template makes of a missing tenant: all who lack one would share a scope. */
const missingPart = /(^|[/:|\s])(undefined|null|NaN|\[object \w+\])($|[/:|\s])/;

/**
 * The protocol of the Idempotency-Key header, for any framework: who may execute, what is stored,
 * and what each client is told.
 */
export class Protection<R, B> {
  readonly #coordinator: Coordinator;
  readonly #options: CheckedOptions<R, B>;

  /** Throws `INVALID_ARGUMENT` on any option out of bounds. */
  constructor(coordinator: Coordinator, options: IdempotencyKeyOptions<R, B>) {
    this.#coordinator = coordinator;
    this.#options = checkOptions(coordinator, options);
  }

  /** The longest body of a response that can be stored, in bytes. */
  get maxBodyBytes(): number {
    return this.#options.maxBodyBytes;
  }

  /** Whether requests of this method are protected at all. */
  covers(method: string): boolean {
    return this.#options.methods.has(method.toUpperCase());
  }

  /**
   * Calls `execute` if no request has executed under this key. `execute` resolves as soon as the
   * handler's response is known, whether its client is still there or not, and the response is
   * recorded then. **The adapter sends nothing of it before this method resolves.** A client that
   * has its answer never asks again, so the answer must be the one that the record has. If an
   * execution that was taken over told its client "paid", that would disagree with every later
   * replay.
   *
   * Rejects with the handler's own error, with whatever `scope` or `fingerprint` throws, and with
   * `INVALID_ARGUMENT`.
   */
  async serve(
    exchange: Exchange<R, B>,
    execute: (context: ExecutionContext) => Promise<Outgoing>,
  ): Promise<Served> {
    const { required, acceptUnquoted, maxRequestBytes } = this.#options;
    const read = readKey(exchange.keyLines, { acceptUnquoted });
    if (read === "missing")
      return required ? this.#refused(exchange, null, { name: "key-missing" }) : { kind: "passed" };
    if (read === "malformed") return this.#refused(exchange, null, { name: "key-malformed" });
    const scope = await this.#scopeOf(exchange.request);
    const payload = await exchange.body(maxRequestBytes);
    const fingerprint = payload === null ? null : this.#fingerprintOf(exchange, payload.body);
    if (fingerprint === null) return this.#refused(exchange, scope, { name: "request-too-large" });

    const ran: { context?: ExecutionContext; error?: unknown } = {};
    const handler = async (context: ExecutionContext): Promise<Outgoing> => {
      ran.context = context;
      try {
        return await execute(context);
      } catch (error) {
        ran.error = error;
        throw error;
      }
    };
    let result: IdempotentResult<Outgoing>;
    try {
      result = await this.#coordinator
        .idempotency(scope, this.#options.store)
        .run(read.key, { fingerprint: fingerprint.of, signal: exchange.gone }, handler);
    } catch (error) {
      const problem = this.#problemOf(error, ran, exchange.gone);
      if (problem === null) throw error;
      return this.#refused(exchange, scope, problem);
    }
    return this.#done(exchange, scope, result);
  }

  async #scopeOf(request: R): Promise<string> {
    const scope: unknown = await this.#options.scope(request);
    if (typeof scope !== "string" || scope === "")
      throw invalidArgument(
        "scope must return a non-empty string for every request with a key: without it one tenant would get another's results.",
      );
    if (missingPart.test(scope))
      throw invalidArgument(
        `scope returned ${JSON.stringify(scope.slice(0, 80))}: a part of it is missing, so all who lack it would get each other's results.`,
      );
    return scope;
  }

  /** Null: the body is nested too deeply to be compared. In an object: it may be undefined. */
  #fingerprintOf(exchange: Exchange<R, B>, body: B): { readonly of: unknown } | null {
    const { fingerprint } = this.#options;
    if (fingerprint !== undefined) return { of: fingerprint(exchange.request, body) };
    const { method, target, contentType } = exchange;
    try {
      return { of: { method: method.toUpperCase(), target, body: comparable(body, contentType) } };
    } catch (error) {
      if (error instanceof RangeError) return null;
      if (!isLeaseholdError(error, "INVALID_ARGUMENT")) throw error;
      throw invalidArgument(
        "The body that a parser made of this request is not what JSON can say: give the option fingerprint, which says what to compare.",
      );
    }
  }

  #problemOf(
    error: unknown,
    ran: { readonly context?: ExecutionContext; readonly error?: unknown },
    gone: AbortSignal,
  ): Problem | null {
    // Nobody is there to read it.
    if (gone.aborted && error === gone.reason) return { name: "interrupted" };
    if (ran.context === undefined) return problemOf(error);
    // A handler may use this SDK itself. We do not explain its errors, unless it only passed on the
    // abort that came from us.
    const { signal } = ran.context;
    if (signal.aborted && error === signal.reason) return { name: "interrupted", retryAfterMs: 1_000 };
    return error === ran.error ? null : problemOf(error);
  }

  #refused(exchange: Exchange<R, B>, scope: string | null, problem: Problem): Served {
    const { emit, problemTypes } = this.#options;
    const response = problemResponse(problem, problemTypes);
    const { status } = response;
    emit({
      type: "http",
      outcome: "refused",
      method: exchange.method,
      scope,
      status,
      problem: problem.name,
    });
    return { kind: "answered", response };
  }

  #done(
    { method }: Exchange<R, B>,
    scope: string,
    { value, replayed, record, attempt }: IdempotentResult<Outgoing>,
  ): Served {
    const { emit } = this.#options;
    const { status, headers, body, unkept } = value;
    if (replayed && body !== null) {
      emit({ type: "http", outcome: "replayed", method, scope, status, attempt });
      return {
        kind: "answered",
        response: { status, headers: [...headers, ["idempotent-replayed", "true"]], body },
      };
    }
    // `too-large`: its body alone was within the limit, and with its headers it was not.
    const reason = unkept ?? "too-large";
    emit(
      record === "not-stored"
        ? { type: "http", outcome: "not-kept", method, scope, status, reason, attempt }
        : { type: "http", outcome: "executed", method, scope, status, record, attempt },
    );
    return { kind: "executed" };
  }
}
