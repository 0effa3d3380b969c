import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { endOf, startChild, stopChild } from "../shared/child-process.ts";
import type { Place } from "../shared/place.ts";
import type { Crew, Job } from "./crew.ts";
import type { WorkerEvent } from "./worker.ts";

/** What a worker process is started with. */
export interface WorkerOrders {
  readonly worker: string;
  readonly place: Place;
  readonly job: Job;
}

/** From the worker to us; "ready" once it can reach the store. */
export type WorkerMessage = { readonly kind: "ready" } | WorkerEvent;

/** From us to the worker: "start" is answered by withdrawing, "go on" ends the work between reading and writing. */
export type CrewMessage = "start" | "go on";

const program = join(import.meta.dirname, "worker-process.ts");

/** Six processes on one store, killed and frozen by signals. */
export function processCrew(place: Place, job: Job): Crew {
  const children = new Map<string, ChildProcess>();
  const killed = new Set<string>();
  const find = (worker: string): ChildProcess => {
    const child = children.get(worker);
    if (child === undefined) throw new Error(`there is no ${worker}`);
    return child;
  };
  const say = (child: ChildProcess, message: CrewMessage): void => {
    // A worker that cannot be told has ended, and its end is reported by "exit".
    child.send(message, () => undefined);
  };
  return {
    words: {
      kill: "KILLED (SIGKILL)",
      freeze: "FROZEN (SIGSTOP)",
      thaw: "thawed (SIGCONT)",
    },
    start: async (report) => {
      const ready: Promise<void>[] = [];
      const ends: Promise<void>[] = [];
      for (const worker of job.workers) {
        const child = startChild(program, { worker, place, job } satisfies WorkerOrders);
        children.set(worker, child);
        const { promise, resolve } = Promise.withResolvers<void>();
        ready.push(promise);
        child.on("message", (message: WorkerMessage) =>
          message.kind === "ready" ? resolve() : report(worker, message),
        );
        ends.push(endOf(worker, child, () => killed.has(worker)));
      }
      const ended = Promise.all(ends);
      await Promise.race([Promise.all(ready), ended]);
      for (const child of children.values()) say(child, "start");
      await ended;
    },
    goOn: (worker) => say(find(worker), "go on"),
    kill: (worker) => {
      killed.add(worker);
      find(worker).kill("SIGKILL");
    },
    freeze: (worker) => find(worker).kill("SIGSTOP"),
    thaw: (worker) => {
      const child = find(worker);
      child.kill("SIGCONT");
      say(child, "go on");
    },
    stop: async () => {
      await Promise.all([...children.values()].map(stopChild));
    },
  };
}
