import { randomBytes } from "node:crypto";

/** Where the processes of one run meet. */
export interface Place {
  readonly kind: "redis" | "etcd";
  readonly url: string;
  /** Unique per run: the namespace, and part of every key. */
  readonly run: string;
}

/** Of its own for each run, so that two on one server do not meet, and what is left can be removed. */
export function newRun(show: string): string {
  return `leasehold-${show}-${randomBytes(4).toString("hex")}`;
}

/** A place whose server answers, or none is there to play on. */
export interface OpenPlace extends AsyncDisposable {
  readonly place: Place;
  /** For the first line: `the Redis at localhost:6379`. */
  readonly where: string;
}
