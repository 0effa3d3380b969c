import {
  invalidArgument,
  type Coordinator,
  type Disposition,
  type IdempotencyOptions,
} from "@leasehold/core";

import { httpEventSink, type HttpEventListener } from "./events.ts";
import { headerKeeper } from "./kept-headers.ts";
import { responseCodec } from "./response-codec.ts";
import { statusPolicy } from "./status-policy.ts";

/** `R`: the request as the framework knows it. `B`: its body, as far as it has been read. */
export interface IdempotencyKeyOptions<R, B> extends Pick<
  IdempotencyOptions,
  | "leaseMs"
  | "retentionMs"
  | "conflict"
  | "waitMs"
  | "onExpired"
  | "maxDurationMs"
  | "maxResultBytes"
  | "failOpen"
> {
  /**
   * Whose keys these are: the tenant, as authentication found it, and the operation. The same key
   * in two scopes never meets; in one scope every client gets every other client's results. It is
   * mandatory, and has no default. An empty scope, or one with a missing part
   * (`undefined/charges`), is `INVALID_ARGUMENT`, which the framework answers with a 500. At most
   * 512 bytes.
   */
  readonly scope: (request: R) => string | Promise<string>;
  /** Which methods it is for; others pass through. Default: POST and PATCH. */
  readonly methods?: readonly string[];
  /** Whether a request without a key gets a 400. Default true. With false it runs unprotected. */
  readonly required?: boolean;
  /** Whether a key may come without its quotes, which the standard demands. Default false. */
  readonly acceptUnquoted?: boolean;
  /**
   * What makes two requests the same: anything that JSON can say, or bytes. Default: method, path
   * with query, and the body, as canonical JSON if it is JSON. Multipart bodies need a fingerprint
   * of your own: clients draw a new boundary each time.
   */
  readonly fingerprint?: (request: R, body: B) => unknown;
  /**
   * The largest body that is read, in bytes; a larger one gets a 413. Where a body parser was
   * first, its own limit counts. Default 1 MiB.
   */
  readonly maxRequestBytes?: number;
  /**
   * Which headers are stored with a response, besides Content-Type and Content-Encoding. Default:
   * Cache-Control, Content-Disposition, Content-Language, Content-Location, ETag, Last-Modified,
   * Link, Location, Vary. Never Set-Cookie: naming it is `INVALID_ARGUMENT`.
   */
  readonly keepHeaders?: readonly string[];
  /**
   * What a 5xx says of the execution. `unknown` (default): something may have happened; the key
   * stays taken until its lease ends, and then `onExpired` decides. `released`: nothing has
   * happened, and the next call executes. Use it only where that is sure.
   */
  readonly on5xx?: "unknown" | "released";
  /** Replaces the whole policy: what a status says of the execution. */
  readonly classifyStatus?: (status: number) => Disposition;
  /** A problem's `type` is this and its name. Default `urn:problem-type:idempotency:`. */
  readonly problemTypes?: string;
  /** Told what became of each request. Also on the diagnostics channel `leasehold:http`. */
  readonly onEvent?: HttpEventListener;
}

export interface CheckedOptions<R, B> {
  readonly scope: (request: R) => string | Promise<string>;
  readonly methods: ReadonlySet<string>;
  readonly required: boolean;
  readonly acceptUnquoted: boolean;
  readonly fingerprint: ((request: R, body: B) => unknown) | undefined;
  readonly maxRequestBytes: number;
  /** A longer body cannot be stored: the stored form has four characters for three bytes. */
  readonly maxBodyBytes: number;
  readonly problemTypes: string;
  readonly emit: HttpEventListener;
  readonly store: IdempotencyOptions;
}

/** Throws `INVALID_ARGUMENT` on any option out of bounds, those of the coordinator's included. */
export function checkOptions<R, B>(
  coordinator: Coordinator,
  options: IdempotencyKeyOptions<R, B>,
): CheckedOptions<R, B> {
  if (typeof coordinator?.idempotency !== "function")
    throw invalidArgument("coordinator must be what createCoordinator returned.");
  if (typeof options?.scope !== "function")
    throw invalidArgument(
      "scope must be a function from the request to whose keys these are: the tenant and the operation.",
    );
  const { on5xx = "unknown", methods = ["POST", "PATCH"], maxRequestBytes = 2 ** 20 } = options;
  if (on5xx !== "unknown" && on5xx !== "released")
    throw invalidArgument('on5xx must be "unknown" or "released".');
  if (!Array.isArray(methods) || methods.length === 0 || !methods.every((each) => /^[A-Z]+$/.test(each)))
    throw invalidArgument("methods must be a list of methods in upper case.");
  if (!Number.isInteger(maxRequestBytes) || maxRequestBytes < 0)
    throw invalidArgument(`maxRequestBytes must be a whole number of bytes; got ${maxRequestBytes}.`);
  for (const name of ["fingerprint", "classifyStatus", "onEvent"] as const)
    if (options[name] !== undefined && typeof options[name] !== "function")
      throw invalidArgument(`${name} must be a function.`);
  const store: IdempotencyOptions = {
    ...storeOptions(options),
    codec: responseCodec(headerKeeper(options.keepHeaders)),
    classifyResult: dispositionOf(options.classifyStatus ?? statusPolicy(on5xx)),
  };
  // This checks all of them, and a scope costs nothing before its first call.
  coordinator.idempotency("options", store);
  return {
    scope: options.scope,
    methods: new Set(methods),
    required: options.required !== false,
    acceptUnquoted: options.acceptUnquoted === true,
    fingerprint: options.fingerprint,
    maxRequestBytes,
    maxBodyBytes: Math.floor(((store.maxResultBytes ?? 65_536) * 3) / 4),
    problemTypes: options.problemTypes ?? "urn:problem-type:idempotency:",
    emit: httpEventSink(options.onEvent),
    store,
  };
}

function storeOptions<R, B>(options: IdempotencyKeyOptions<R, B>): IdempotencyOptions {
  const { leaseMs, retentionMs, conflict, waitMs, onExpired, maxDurationMs, maxResultBytes, failOpen } =
    options;
  return { leaseMs, retentionMs, conflict, waitMs, onExpired, maxDurationMs, maxResultBytes, failOpen };
}

/** A policy that throws, or returns nonsense, must not lose an effect that may have happened. */
function dispositionOf(policy: (status: number) => Disposition): (value: unknown) => Disposition {
  return (value) => {
    const { status, unhandled } = value as { readonly status: number; readonly unhandled: boolean };
    // The policy speaks of a 5xx that a handler meant. Nobody meant this one.
    if (unhandled && status >= 500) return "unknown";
    try {
      const disposition = policy(status);
      if (disposition === "stored" || disposition === "released") return disposition;
    } catch (error) {
      process.emitWarning(`classifyStatus threw on ${status}: ${String(error)}`, "LeaseholdWarning");
    }
    return "unknown";
  };
}
