import assert from "node:assert/strict";

import type { Fixture } from "./fixture.ts";

/** Follows a promise that is expected to fail, without an unhandled rejection in between. */
export function settle(promise: Promise<unknown>): { error: () => unknown; isSettled: () => boolean } {
  let settled = false;
  let failure: unknown = undefined;
  promise.then(
    () => (settled = true),
    (error: unknown) => {
      settled = true;
      failure = error;
    },
  );
  return { error: () => failure, isSettled: () => settled };
}

/** Awaits a promise that may need time to pass. */
export async function finish<T>(fixture: Fixture, promise: Promise<T>, withinMs = 10_000): Promise<T> {
  const watched = settle(promise);
  await fixture.until("settled", withinMs, watched.isSettled);
  return promise;
}

/**
 * Awaits what must not fail: a rejection is a broken promise of the backend's, not of the case's.
 */
export async function unfailing<T>(promise: Promise<T>): Promise<T> {
  return promise.catch((error: unknown) => assert.fail(`must not fail: ${String(error)}`));
}
