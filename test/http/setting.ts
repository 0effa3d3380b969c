import type { Coordinator } from "@leasehold/core";
import type { HttpEvent } from "@leasehold/http";
import { onTestFinished } from "vitest";

import { patienceMs } from "../stall/index.ts";
import type { Handle, Reply, Service, ServiceOptions, StartService } from "./service.ts";
import { stores, type Store } from "./store.ts";

/** As long as an execution outlives its process, in the tests that wait for that. */
export const shortLeaseMs = 1_000;
/** How a takeover is waited for. */
export const takeover: { timeout: number; interval: number } = { timeout: patienceMs, interval: 20 };

/** One framework on one store; all of it is closed with the test. */
export interface Setting {
  readonly openStore: () => Store;
  /** Default: on a store of its own. */
  readonly serve: (
    handle: Handle,
    options?: ServiceOptions,
    coordinator?: Coordinator,
  ) => Promise<Service & { readonly events: readonly HttpEvent[] }>;
}

export function setting(start: StartService, store: string): Setting {
  const openStore = (): Store => {
    const opened = stores[store]!();
    onTestFinished(() => opened.close());
    return opened;
  };
  return {
    openStore,
    serve: async (handle, options = {}, coordinator = openStore().replica()) => {
      const events: HttpEvent[] = [];
      const service = await start(
        coordinator,
        { onEvent: (event) => events.push(event), ...options },
        handle,
      );
      onTestFinished(() => service.close());
      return { ...service, events };
    },
  };
}

/** Counts its executions. */
export function counting(reply: Reply | ((attempt: number) => Reply)): {
  handle: Handle;
  count: () => number;
} {
  let count = 0;
  const handle: Handle = async ({ context }) => {
    count++;
    return typeof reply === "function" ? reply(context?.attempt ?? 0) : reply;
  };
  return { handle, count: () => count };
}

/** A handler that stays until it is let go. */
export function gated(reply: Reply = { body: "done" }): {
  handle: Handle;
  entered: () => number;
  open: () => void;
} {
  const gate = Promise.withResolvers<void>();
  onTestFinished(() => gate.resolve());
  let entered = 0;
  const handle: Handle = async () => {
    entered++;
    await gate.promise;
    return reply;
  };
  return { handle, entered: () => entered, open: () => gate.resolve() };
}

export function outcomes(events: readonly HttpEvent[]): string[] {
  return events.map(({ outcome }) => outcome);
}
