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
