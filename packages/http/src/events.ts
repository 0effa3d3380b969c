import { channel } from "node:diagnostics_channel";

import type { RecordState } from "@leasehold/core";

import type { Unkept } from "./outgoing.ts";
import type { ProblemName } from "./problem.ts";

interface RequestEvent {
  readonly type: "http";
  readonly method: string;
  /** Of the response that this request got. */
  readonly status: number;
}

/**
 * What became of a request that came with a key, or should have. Delivered to `onEvent`, and
 * published on `leasehold:http`.
 */
export type HttpEvent =
  /** Its handler ran. `record` says whether the response is replayed from now on. */
  | (RequestEvent & {
      readonly outcome: "executed";
      readonly scope: string;
      readonly record: RecordState;
      readonly attempt: number;
    })
  /** Its handler ran, and that is stored, but not its response: a later call gets no result. */
  | (RequestEvent & {
      readonly outcome: "not-kept";
      readonly scope: string;
      readonly reason: Unkept;
      readonly attempt: number;
    })
  /** An earlier response was sent again. `attempt`: of the execution that it came from. */
  | (RequestEvent & { readonly outcome: "replayed"; readonly scope: string; readonly attempt: number })
  /** It got a problem. `scope`: null if it was refused before the scope was known. */
  | (RequestEvent & {
      readonly outcome: "refused";
      readonly scope: string | null;
      readonly problem: ProblemName;
    });

export type HttpEventListener = (event: HttpEvent) => void;

/**
 * A listener's error must not change what a client gets: it becomes a process warning, and so does
 * the rejection of an `async` one.
 */
export function httpEventSink(listener?: HttpEventListener): HttpEventListener {
  return (event) => {
    const warn = (error: unknown): void =>
      process.emitWarning(`A listener of HTTP events threw: ${String(error)}`, "LeaseholdWarning");
    try {
      const published = channel("leasehold:http");
      if (published.hasSubscribers) published.publish(event);
      const result = listener?.(event) as unknown;
      if (result instanceof Promise) result.catch(warn);
    } catch (error) {
      warn(error);
    }
  };
}
