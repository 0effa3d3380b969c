import type { Stage } from "./stage.ts";

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
export async function finish<T>(stage: Stage, promise: Promise<T>, withinMs = 10_000): Promise<T> {
  const watched = settle(promise);
  await stage.until("settled", withinMs, watched.isSettled);
  return promise;
}
