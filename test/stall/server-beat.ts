import { stalls, type StallLog } from "./stall-log.ts";

const everyMs = 100;
/** A server with nothing to do answers in one; what it is busy with on our behalf takes a few. */
const usualMs = 50;

/**
 * Asks a server, over and over, something that costs it nothing. An answer that takes long is a
 * stall of the server: of its processor or, where it writes through before it answers, of its disk.
 * No answer at all is none: the test itself may have killed or paused it. Returns the function that
 * ends it.
 */
export function beatServer(
  answers: () => Promise<boolean>,
  log: Pick<StallLog, "record"> = stalls,
): () => void {
  let stopped = false;
  const beat = async (): Promise<void> => {
    const sentNs = process.hrtime.bigint();
    const answered = await answers();
    const toNs = process.hrtime.bigint();
    const fromNs = sentNs + BigInt(usualMs * 1e6);
    if (answered && toNs > fromNs) log.record({ fromNs, toNs, of: "the server" });
    if (!stopped) timer = setTimeout(() => void beat(), everyMs).unref();
  };
  let timer = setTimeout(() => void beat(), everyMs).unref();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
