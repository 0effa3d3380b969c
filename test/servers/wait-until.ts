import { setTimeout as sleep } from "node:timers/promises";

/**
 * How long anything is waited for: what takes longer hangs. No product is so slow, and no machine
 * so busy.
 */
export const patienceMs = 45_000;

/**
 * Something did not come in its time. Unlike a broken promise, a stalled machine may be to blame
 * for it.
 */
export class LateError extends Error {
  override readonly name = "LateError";
}

/**
 * Resolves when `condition` holds, which is looked at every 20 ms. A condition that throws ends the
 * waiting with its error. Throws `what` when it waits for too long. It is no bound: see
 * `test/stall` for those.
 */
export async function waitUntil(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + patienceMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new LateError(`${what}: not within ${patienceMs} ms`);
    await sleep(20);
  }
}
