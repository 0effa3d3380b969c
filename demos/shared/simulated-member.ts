import type { Member, MemberSpec, Program } from "./member.ts";
import { StoppableClock } from "./stoppable-clock.ts";
import { coordinatorAt } from "./store.ts";

/**
 * A member within this process, with a clock, a backend and a coordinator of its own. While it is
 * frozen, and for good once it is killed, no timer of it fires and no message reaches it: it renews
 * nothing and releases nothing, as a stopped process would not.
 */
export function simulatedMember<Config, Heard, Told>(
  { main }: Program<Config, Heard, Told>,
  spec: MemberSpec<Config>,
  hear: (message: Told) => void,
): Member<Heard> {
  const clock = new StoppableClock();
  const killed = new AbortController();
  const death = Promise.withResolvers<void>();
  const inbox: Heard[] = [];
  let isFrozen = false;
  let listener: ((message: Heard) => void) | undefined;

  function deliver(): void {
    while (listener !== undefined && !isFrozen && !killed.signal.aborted) {
      const message = inbox.shift();
      if (message === undefined) return;
      listener(message);
    }
  }

  async function live(): Promise<void> {
    const coordinator = await coordinatorAt(spec.address, { ...spec, clock });
    await main({
      ...spec,
      coordinator,
      clock,
      tell: (message) => {
        if (!killed.signal.aborted) hear(message);
      },
      listen: (next) => {
        listener = next;
        deliver();
      },
      killed: killed.signal,
    });
    await coordinator.close();
  }

  return {
    ended: Promise.race([live(), death.promise]),
    send: (message) => {
      inbox.push(message);
      queueMicrotask(deliver);
    },
    kill: async () => {
      clock.end();
      killed.abort();
      death.resolve();
    },
    freeze: () => {
      isFrozen = true;
      clock.stop();
    },
    thaw: () => {
      isFrozen = false;
      clock.resume();
      deliver();
    },
  };
}
