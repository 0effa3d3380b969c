import { SimClock, withFaults } from "@leasehold/testing";
import { expect, it } from "vitest";
import { createCoordinator } from "../coordinator.ts";
import { LeaseholdError } from "../errors.ts";
import { memoryBackend, MemoryStore } from "../memory/index.ts";

it("a wait in line that ends says whether the store was still there", async () => {
  const clock = new SimClock();
  const store = new MemoryStore({ clock });
  await createCoordinator({ backend: memoryBackend({ store }) })
    .lock("a")
    .acquire();
  const { backend, link } = withFaults(memoryBackend({ store }));
  const lock = createCoordinator({ backend, ttlMs: 1_000 }).lock("a");
  const ended = async (): Promise<LeaseholdError> => {
    const failure: unknown = await lock.acquire({ waitMs: 1_000 }).catch((error: unknown) => error);
    if (failure instanceof LeaseholdError) return failure;
    return expect.unreachable("somebody else holds it");
  };
  const [beside] = await Promise.all([ended(), clock.advance(1_000)]);
  expect(beside.code).toBe("ACQUIRE_TIMEOUT");
  expect(beside.message).toMatch(/without a grant\.$/);
  expect(beside.cause).toBeUndefined();

  const waiting = ended();
  await clock.advance(10);
  link.cut();
  await clock.advance(1_000);
  const cut = await waiting;
  expect(cut.code).toBe("ACQUIRE_TIMEOUT");
  expect(cut.cause).toMatchObject({ code: "OUTCOME_UNKNOWN" });
  expect(cut.message).toContain((cut.cause as Error).message);
});

it("after a blocked event loop the backend has the last word on whether the request ever left", async () => {
  const clock = new SimClock();
  const backend = memoryBackend({ clock });
  const unsent = new LeaseholdError("BACKEND_UNAVAILABLE", "No connection was made.");
  backend.leases.acquire = ({ timeoutMs }) =>
    new Promise((_, reject) => {
      // As a backend does that reads its sockets once more before it judges.
      clock.schedule(timeoutMs, () => clock.schedule(0, () => reject(unsent)));
    });
  const coordinator = createCoordinator({ backend, ttlMs: 20_000 });
  const ended = coordinator
    .lock("a")
    .acquire({ waitMs: 1_000 })
    .catch((error: unknown) => error);
  await clock.advance(10);
  clock.block(5_000);
  await clock.advance(1);
  expect(await ended).toMatchObject({ code: "BACKEND_UNAVAILABLE", cause: unsent });
});
