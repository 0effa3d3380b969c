import { memoryBackend, MemoryStore } from "@leasehold/core/memory";
import { SimClock, testBackend, withFaults } from "../index.ts";
import { describe, it } from "vitest";

const clock = new SimClock();
const store = new MemoryStore({ clock });

testBackend(
  "memory",
  {
    ttlMs: 1_000,
    concurrent: false,
    open: async () => memoryBackend({ store }),
    openThroughLink: async () => withFaults(memoryBackend({ store })),
    elapse: (ms) => clock.advance(ms),
    block: (ms) => clock.block(ms),
    store: {
      flush: async () => store.flush(),
      leftovers: async (resources) => {
        const claims = resources.map((resource) => store.inspect(resource));
        return claims.flatMap(({ holders, line }) => [...holders, ...line]).map(({ owner }) => owner);
      },
      deleteClaim: async (resource, owner) =>
        void store.release({ resource: { name: resource, announce: true }, owner, timeoutMs: 0 }),
    },
  },
  { describe, it },
);
