import { sleep, stayAlive } from "../base/clock.ts";
import { isLeaseholdError } from "../errors.ts";
import type { HeldLeadership, Leadership } from "./leadership.ts";
import type { LineResource } from "./line-resource.ts";
import { isAbort } from "./run-under.ts";

/** What a leader does during one term. */
type Body = (leadership: Leadership) => void | Promise<void>;

/** Campaigns, runs `body` for one term, and so on, until `signal` aborts or the body returns. */
export async function lead(
  line: LineResource,
  campaign: () => Promise<HeldLeadership>,
  body: Body,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { clock, random } = line.session.context;
  const isOver = (): boolean => signal?.aborted === true;
  while (!isOver()) {
    let leadership: HeldLeadership;
    try {
      leadership = await campaign();
    } catch (error) {
      if (isOver()) return;
      if (!isLeaseholdError(error, "LEASE_LOST")) throw error;
      // An operator evicted it from the line. It stands again, but not in a tight loop.
      await sleep(clock, 50 + 100 * random.fraction(), signal, { keepAlive: true });
      continue;
    }
    if (await ranToItsEnd(line, leadership, body, signal)) return;
  }
}

/** One term. True: the body returned by itself, so there is nothing left to lead for. */
async function ranToItsEnd(
  line: LineResource,
  leadership: HeldLeadership,
  body: Body,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { lease } = leadership;
  const stop = (): void => lease.interrupt(signal?.reason);
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted === true) stop();
  // A leader may do nothing but wait to be told: the process must not end for that.
  const alive = stayAlive(line.session.context.clock);
  try {
    await line.runUnder(lease, () => {
      const work = (async () => body(leadership))();
      leadership.body = work;
      return work;
    });
    return !lease.signal.aborted;
  } catch (error) {
    // The end of a term is found at its release, or passed on by the body. An error of the body's
    // own ends the candidacy.
    const passedOn = lease.signal.aborted && (isAbort(error) || error === lease.signal.reason);
    if (isLeaseholdError(error, "LEASE_LOST") || (passedOn && !isLeaseholdError(error, "CLOSED")))
      return false;
    throw error;
  } finally {
    alive.cancel();
    signal?.removeEventListener("abort", stop);
  }
}
