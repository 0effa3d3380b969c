import { createHash } from "node:crypto";

import { SimClock } from "@leasehold/testing";
import { describe, expect, it } from "vitest";

import { createCoordinator, type Coordinator } from "../coordinator.ts";
import { isLeaseholdError, type ErrorCode } from "../errors.ts";
import { memoryBackend, MemoryStore } from "../memory/index.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { Idempotency, IdempotencyOptions } from "./idempotency.ts";

const ofCode = (code: ErrorCode): unknown => expect.toSatisfy((error) => isLeaseholdError(error, code));

function open(onBegin: () => void = () => {}): {
  coordinator: Coordinator;
  charges: Idempotency;
  store: MemoryStore;
} {
  const store = new MemoryStore({ clock: new SimClock() });
  const backend = memoryBackend({ store });
  const { idempotency } = backend;
  const begin = idempotency.begin.bind(idempotency);
  idempotency.begin = (request) => {
    onBegin();
    return begin(request);
  };
  const coordinator = createCoordinator({ backend, ttlMs: 3_000 });
  return { coordinator, charges: coordinator.idempotency("charges", { leaseMs: 3_000 }), store };
}

describe("untrusted input", () => {
  it("a bad argument is refused at the call", async () => {
    let asked = 0;
    const { coordinator, charges } = open(() => (asked += 1));
    const bad: IdempotencyOptions[] = [
      { leaseMs: 0 },
      { leaseMs: Number.NaN },
      { leaseMs: 5_000, retentionMs: 4_000 },
      { retentionMs: Infinity },
      { conflict: "later" as never },
      { onExpired: "maybe" as never },
      { waitMs: -1 },
      { maxDurationMs: Number.NaN },
      { maxResultBytes: 2 ** 40 },
      { classifyError: "stored" as never },
    ];
    for (const options of bad)
      expect(() => coordinator.idempotency("s", options), JSON.stringify(options)).toThrow(
        ofCode("INVALID_ARGUMENT") as Error,
      );
    for (const scope of ["", "x".repeat(513), 7 as never])
      expect(() => coordinator.idempotency(scope)).toThrow(ofCode("INVALID_ARGUMENT") as Error);
    const handler = (): number => 0;
    for (const key of ["", "x".repeat(513), undefined as never])
      await expect(charges.run(key, {}, handler)).rejects.toEqual(ofCode("INVALID_ARGUMENT"));
    await expect(charges.run("k", {}, undefined as never)).rejects.toEqual(ofCode("INVALID_ARGUMENT"));
    await expect(charges.run("k", { fingerprint: 1n }, handler)).rejects.toEqual(ofCode("INVALID_ARGUMENT"));
    await expect(charges.run("k", { policy: {} as never }, handler)).rejects.toEqual(
      ofCode("INVALID_ARGUMENT"),
    );
    await expect(charges.run("k", { signal: {} as never }, handler)).rejects.toEqual(
      ofCode("INVALID_ARGUMENT"),
    );
    const aborted = AbortSignal.abort(new Error("before"));
    await expect(charges.run("k", { signal: aborted }, handler)).rejects.toThrow("before");
    expect(asked).toBe(0);
  });

  it("a stored text that this SDK did not write is an error, not a result", async () => {
    const hostile = ["", "2{}", "1{", '1{"$":"who"}', `1${"[".repeat(50_000)}`, "x".repeat(2 ** 21)];
    const { charges, store } = open();
    const { idempotency } = memoryBackend({ store });
    for (const [i, body] of hostile.entries()) {
      for (const outcome of ["completed", "failed"] as const) {
        // Written by hand, past core: a record of our name with another content.
        const record = `default:idempotency:charges/${createHash("sha256").update(`h${i}${outcome}`).digest("hex")}`;
        const owner = "0".repeat(32);
        const times = { leaseMs: 3_000, retentionMs: 60_000, timeoutMs: 0 };
        const fingerprint = fingerprintOf(undefined);
        const reply = await idempotency.begin({
          record,
          owner,
          fingerprint,
          takeOver: true,
          watched: false,
          ...times,
        });
        if (reply.kind !== "begun") throw new Error(reply.kind);
        await idempotency.finish({ record, owner, token: reply.token, outcome, body, ...times });
        const replayed = charges.run(`h${i}${outcome}`, {}, () => 0);
        await expect(replayed).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: true });
      }
    }
  });

  it("a payload that changes while the handler runs keeps its fingerprint", async () => {
    const { charges } = open();
    const payload = { amount: 5 };
    await charges.run("k", { fingerprint: payload }, () => (payload.amount = 6));
    expect(await charges.run("k", { fingerprint: { amount: 5 } }, () => 0)).toMatchObject({ replayed: true });
  });
});
