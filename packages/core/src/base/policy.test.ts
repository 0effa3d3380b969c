import { SimClock } from "@leasehold/testing";
import { expect, test } from "vitest";

import { createCoordinator, type Coordinator } from "../coordinator.ts";
import { isLeaseholdError } from "../errors.ts";
import { memoryBackend } from "../memory/index.ts";
import type { RunPolicy } from "./policy.ts";

function open(): Coordinator {
  return createCoordinator({ backend: memoryBackend({ clock: new SimClock() }), ttlMs: 3_000 });
}

/** Tries once more. */
const twice: RunPolicy = {
  execute: (work) => work(new AbortController()).catch(() => work(new AbortController())),
};

test("each attempt at a lock is a lease of its own, with a higher token", async () => {
  const tokens: bigint[] = [];
  const body = ({ fencingToken }: { readonly fencingToken: bigint }): string => {
    tokens.push(fencingToken);
    if (tokens.length === 1) throw new Error("not yet");
    return "done";
  };
  const coordinator = open();
  expect(await coordinator.lock("a").run(body, { policy: twice })).toBe("done");
  expect(tokens).toHaveLength(2);
  expect(tokens[1]).toBeGreaterThan(tokens[0] ?? 0n);
  tokens.length = 0;
  expect(await coordinator.semaphore("a", { permits: 2 }).run(body, { policy: twice })).toBe("done");
  expect((await coordinator.inspect("a")).holders).toEqual([]);
});

test("the end of an attempt ends its wait, and aborts the signal of its lease", async () => {
  const coordinator = open();
  const lock = coordinator.lock("a");
  const attempt = new AbortController();
  const policy: RunPolicy = { execute: (work) => work(attempt) };
  const running = lock.run(
    ({ signal }) => {
      attempt.abort(new Error("too slow"));
      signal.throwIfAborted();
    },
    { policy },
  );
  await expect(running).rejects.toThrow("too slow");
  await using _ = await lock.acquire();
  await expect(lock.run(() => "held elsewhere", { policy })).rejects.toThrow("too slow");
});

test("the caller's own signal goes to the policy", async () => {
  const signal = AbortSignal.abort(new Error("gone home"));
  const seen: (AbortSignal | undefined)[] = [];
  const policy: RunPolicy = {
    execute: async (work, ends) => {
      seen.push(ends);
      return work(new AbortController());
    },
  };
  await open()
    .lock("a")
    .run(() => "done", { policy, signal });
  expect(seen).toEqual([signal]);
});

test("an attempt at an idempotent call that was released executes again, with a higher token", async () => {
  const charges = open().idempotency("charges", { classifyError: () => "released" });
  const seen: bigint[] = [];
  const { value } = await charges.run("k", { policy: twice }, ({ attempt, fencingToken }) => {
    seen.push(fencingToken);
    if (attempt === 1) throw new Error("not yet");
    return attempt;
  });
  expect(value).toBe(2);
  expect(seen[1]).toBeGreaterThan(seen[0] ?? 0n);
});

test("the end of an attempt aborts the signal of an idempotent handler", async () => {
  const ending = new AbortController();
  const policy: RunPolicy = { execute: (work) => work(ending) };
  const running = open()
    .idempotency("charges")
    .run("k", { policy }, ({ signal }) => {
      ending.abort(new Error("too slow"));
      signal.throwIfAborted();
    });
  await expect(running).rejects.toThrow("too slow");
});

test("a policy without a method execute is refused at the call", async () => {
  const refused = expect.toSatisfy((error) => isLeaseholdError(error, "INVALID_ARGUMENT"));
  for (const policy of [{}, null, 7] as unknown as RunPolicy[]) {
    await expect(
      open()
        .lock("a")
        .run(() => 0, { policy }),
    ).rejects.toEqual(refused);
    await expect(
      open()
        .idempotency("s")
        .run("k", { policy }, () => 0),
    ).rejects.toEqual(refused);
  }
});
