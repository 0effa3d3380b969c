import type { AddressInfo } from "node:net";
import type { Server } from "node:http";

import type { Coordinator, ExecutionContext } from "@leasehold/core";
import type { HttpEventListener, IdempotencyKeyOptions } from "@leasehold/http";

/** What a handler is asked, whatever the framework. */
export interface Ask {
  readonly path: string;
  /** JSON if it was JSON, else bytes. */
  readonly body: unknown;
  readonly context: ExecutionContext | null;
}

/** What a handler answers. */
export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cookies?: readonly string[];
  /**
   * Bytes and strings as they are, anything else as JSON; undefined: none. An async iterable is
   * streamed.
   */
  readonly body?: unknown;
}

export type Handle = (ask: Ask) => Promise<Reply>;

/**
 * The options that do not depend on a framework's request. The scope is always the header
 * `x-tenant`, and the operation.
 */
export type ServiceOptions = Omit<IdempotencyKeyOptions<never, never>, "scope" | "fingerprint"> & {
  readonly onEvent?: HttpEventListener;
};

export interface Service {
  readonly url: string;
  /** How many clients are connected. */
  readonly connections: () => Promise<number>;
  readonly close: () => Promise<void>;
}

/** A service of one framework, with the middleware before `handle` on every path. */
export type StartService = (
  coordinator: Coordinator,
  options: ServiceOptions,
  handle: Handle,
) => Promise<Service>;

export function scopeOf(tenant: string | undefined): string {
  return tenant === "" ? "" : `${tenant ?? "acme"}/charges`;
}

export function isStream(body: unknown): body is AsyncIterable<Uint8Array> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}

/** A body that is no stream, as bytes, and its content type unless the reply has one. */
export function encode({ body, headers = {} }: Reply): {
  bytes: Buffer | undefined;
  headers: Record<string, string>;
} {
  if (body === undefined) return { bytes: undefined, headers: { ...headers } };
  if (body instanceof Uint8Array) return { bytes: Buffer.from(body), headers: { ...headers } };
  if (typeof body === "string")
    return { bytes: Buffer.from(body), headers: { "content-type": "text/plain", ...headers } };
  return {
    bytes: Buffer.from(JSON.stringify(body)),
    headers: { "content-type": "application/json", ...headers },
  };
}

export async function listening(server: Server): Promise<Service> {
  if (!server.listening) await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => new Promise((resolve) => server.getConnections((_, count) => resolve(count))),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
