import { AsyncResource } from "node:async_hooks";

/** Runs work in an async context: what `AsyncLocalStorage` says there is what it said here. */
export type Scope = <T>(work: () => T) => T;

/**
 * The async context of this moment. A timer, a socket, and an abort run their listeners in the
 * context of whoever set them off. That would be whichever call came first; who belongs to another
 * call, or to none, takes its own context along.
 *
 * It is made for each acquire call, and `AsyncLocalStorage.snapshot()` takes twenty times as long.
 */
export function captureScope(): Scope {
  const resource = new AsyncResource("Leasehold");
  return (work) => resource.runInAsyncScope(work);
}

/** The context as it is when the work begins. */
export const presentScope: Scope = (work) => work();
