import type { Sabotage } from "../servers/sabotage.ts";
import { ofServer, stalls, type StallLog } from "./stall-log.ts";

const everyMs = 100;
/** A server with nothing to do answers in one; what it is busy with on our behalf takes a few. */
const usualMs = 50;

/**
 * Asks a server, over and over, something that costs it nothing. An answer that takes long is a
 * stall of the server: of its processor or, where it writes through before it answers, of its disk.
 * So is a time without any answer, from its first question to the next answer, unless the test
 * itself has killed or paused the server meanwhile. Returns the function that ends it.
 */
export function beatServer(
  answers: () => Promise<boolean>,
  {
    sabotage = { isGoingOn: false, count: 0 },
    log = stalls,
  }: { sabotage?: Sabotage; log?: Pick<StallLog, "record"> } = {},
): () => void {
  let stopped = false;
  let askedNs: bigint | undefined;
  const beat = async (): Promise<void> => {
    askedNs ??= process.hrtime.bigint();
    const { count, isGoingOn } = sabotage;
    const answered = await answers();
    const toNs = process.hrtime.bigint();
    const fromNs = askedNs + BigInt(usualMs * 1e6);
    const isOurs = isGoingOn || sabotage.isGoingOn || sabotage.count !== count;
    if (answered && !isOurs && toNs > fromNs) log.record({ fromNs, toNs, of: ofServer });
    if (answered || isOurs) askedNs = undefined;
    if (!stopped) timer = setTimeout(() => void beat(), everyMs).unref();
  };
  let timer = setTimeout(() => void beat(), everyMs).unref();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
