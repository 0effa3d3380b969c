import type { ManagedServer } from "./managed-server.ts";

/** What a test itself does to a server: while it does, no answer is no stall. */
export interface Sabotage {
  /** Whether the server, or a member of it, is paused or dead at the test's will. */
  readonly isGoingOn: boolean;
  /** How often it began. */
  readonly count: number;
}

/** Follows what is done to a server by its methods from now on, and to each of its members. */
export function watchSabotage(server: ManagedServer & { members?: readonly ManagedServer[] }): Sabotage {
  const down = new Set<ManagedServer>();
  let count = 0;
  for (const each of [server, ...(server.members ?? [])]) {
    const began = (): void => {
      count += 1;
      down.add(each);
    };
    const over = (): void => void down.delete(each);
    const [pause, kill, stop] = [each.pause.bind(each), each.kill.bind(each), each.stop.bind(each)];
    const [resume, start, restart] = [each.resume.bind(each), each.start.bind(each), each.restart.bind(each)];
    Object.assign(each, {
      pause: () => (began(), pause()),
      kill: () => (began(), kill()),
      stop: () => (began(), stop()),
      resume: () => resume().finally(over),
      start: () => start().finally(over),
      restart: (options?: { wipe?: boolean }) => (began(), restart(options).finally(over)),
    } satisfies Partial<ManagedServer>);
  }
  return {
    get isGoingOn() {
      return down.size > 0;
    },
    get count() {
      return count;
    },
  };
}
