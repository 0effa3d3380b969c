import { setTimeout as sleep } from "node:timers/promises";

/**
 * Resolves when `condition` holds, which is looked at every 20 ms. A condition that throws ends the waiting with
 * its error. Throws `what` after `withinMs` (default 15 s).
 */
export async function waitUntil(
  what: string,
  condition: () => boolean | Promise<boolean>,
  options: { withinMs?: number } = {},
): Promise<void> {
  const { withinMs = 15_000 } = options;
  const endMs = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`${what}: not within ${withinMs} ms`);
    await sleep(20);
  }
}
