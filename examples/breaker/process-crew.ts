import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { endOf, startChild, stopChild } from "../shared/child-process.ts";
import type { Place } from "../shared/place.ts";
import type { Crew, Job } from "./crew.ts";
import type { NodeEvent } from "./node.ts";

/** What a node's process is started with. */
export interface NodeOrders {
  readonly node: string;
  readonly place: Place;
  readonly job: Job;
  /** Of the dependency. */
  readonly url: string;
}

const program = join(import.meta.dirname, "node-process.ts");

/** Five processes on one store. */
export function processCrew(place: Place, job: Job, url: string): Crew {
  const children: ChildProcess[] = [];
  return {
    start: async (report) => {
      const ends = job.nodes.map((node) => {
        const child = startChild(program, { node, place, job, url } satisfies NodeOrders);
        children.push(child);
        child.on("message", (event: NodeEvent) => report(node, event));
        return endOf(node, child, () => false);
      });
      await Promise.all(ends);
    },
    // One that cannot be told has ended, and its end is reported by its exit.
    dismiss: () => children.forEach((child) => child.send("end", () => undefined)),
    stop: async () => {
      await Promise.all(children.map(stopChild));
    },
  };
}
