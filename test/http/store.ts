import { randomUUID } from "node:crypto";

import {
  createCoordinator,
  LeaseholdError,
  type Backend,
  type Clock,
  type Coordinator,
} from "@leasehold/core";
import { memoryBackend, MemoryStore } from "@leasehold/core/memory";
import { redisBackend } from "@leasehold/redis";
import { redisForThisFile } from "../servers/for-this-file.ts";

const redisServer = await redisForThisFile();

/** One store, and as many replicas on it as a test needs. */
export interface Store {
  /** One replica's way to it. `wrap` puts something in between. */
  replica(options?: { clock?: Clock; wrap?: (backend: Backend) => Backend }): Coordinator;
  /** A replica whose store is out of reach. */
  lost(): Coordinator;
  close(): Promise<void>;
}

export const stores: Readonly<Record<string, () => Store>> = {
  memory: () => {
    const store = new MemoryStore();
    const down = (): Promise<never> =>
      Promise.reject(new LeaseholdError("BACKEND_UNAVAILABLE", "no route to 10.0.0.7:6379"));
    const lost = (backend: Backend): Backend => {
      backend.idempotency.begin = down;
      return backend;
    };
    return storeOf((clock) => memoryBackend({ store, clock }), lost);
  },
  redis: () => {
    const namespace = `http-${randomUUID()}`;
    return storeOf(
      (clock) => redisBackend(redisServer.url, clock === undefined ? {} : { clock }),
      // Nobody listens there.
      () => redisBackend("redis://127.0.0.1:1"),
      namespace,
    );
  },
};

function storeOf(
  backendWith: (clock?: Clock) => Backend,
  lost: (backend: Backend) => Backend,
  namespace: string = "http",
): Store {
  const open: Coordinator[] = [];
  const add = (backend: Backend): Coordinator => {
    const coordinator = createCoordinator({ backend, namespace, graceMs: 1_000 });
    open.push(coordinator);
    return coordinator;
  };
  return {
    replica: ({ clock, wrap } = {}) => {
      const backend = backendWith(clock);
      return add(wrap === undefined ? backend : wrap(backend));
    },
    lost: () => add(lost(backendWith())),
    close: async () => void (await Promise.all(open.map((coordinator) => coordinator.close()))),
  };
}
