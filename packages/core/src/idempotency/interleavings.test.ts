import assert from "node:assert/strict";

import { SimClock } from "@leasehold/testing";
import * as fc from "fast-check";
import { test } from "vitest";

import type { BeginRequest, FinishRequest } from "../contract/idempotency-store.ts";
import { memoryBackend } from "../memory/index.ts";

const leaseMs = 100;
const retentionMs = 1_000_000;
const outcomes = ["completed", "failed", "released"] as const;

type Step =
  | { readonly do: "begin" | "extend" | "withdraw"; readonly who: number }
  | { readonly do: "finish"; readonly who: number; readonly outcome: (typeof outcomes)[number] }
  | { readonly do: "late"; readonly which: number }
  | { readonly do: "pass"; readonly ms: number };

const who = fc.nat(3);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom("begin", "extend", "withdraw"), who }),
  fc.record({ do: fc.constant("finish"), who, outcome: fc.constantFrom(...outcomes) }),
  // Any request that was ever sent arrives once more: resent, delayed, reordered.
  fc.record({ do: fc.constant("late"), which: fc.nat(60) }),
  fc.record({ do: fc.constant("pass"), ms: fc.constantFrom(1, 60, 101) }),
);

// Four callers, each of which pauses, dies, comes back late and repeats itself wherever the
// schedule says so.
test("under any schedule one result stands, tokens grow, and only the present execution changes the record", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const clock = new SimClock();
      const { idempotency } = memoryBackend({ clock });
      const callers = Array.from({ length: 4 }, (_, i) => ({
        owner: String(i).repeat(32),
        token: null as bigint | null,
        calls: 0,
      }));
      const sent: (() => Promise<void>)[] = [];
      let present: { owner: string; token: bigint; attempt: number } | null = null;
      let result: { outcome: string; body: string | null } | null = null;
      let highest = -1n;

      const begin = async (caller: (typeof callers)[number], request: BeginRequest): Promise<void> => {
        const reply = await idempotency.begin(request);
        if (result !== null) return assert.partialDeepStrictEqual(reply, { kind: "finished", ...result });
        if (reply.kind !== "begun") return assert.equal(reply.kind, "in-progress");
        if (reply.token === present?.token) assert.equal(request.owner, present.owner);
        else assert.ok(reply.token > highest);
        highest = reply.token;
        present = { owner: request.owner, token: reply.token, attempt: reply.attempt };
        if (request.owner === caller.owner) caller.token = reply.token;
      };
      const finish = async (request: FinishRequest): Promise<void> => {
        const reply = await idempotency.finish(request);
        if (reply !== "done" || result !== null || present === null) return;
        // A repeated release of one that has released already changes nothing.
        assert.deepEqual([request.owner, request.token ?? present.token], [present.owner, present.token]);
        if (request.outcome !== "released") result = { outcome: request.outcome, body: request.body };
      };
      const act = async (run: () => Promise<void>): Promise<void> => {
        sent.push(run);
        await run();
      };

      for (const each of steps) {
        if (each.do === "pass") await clock.advance(each.ms);
        else if (each.do === "late") await sent[each.which % Math.max(1, sent.length)]?.();
        else {
          const caller = callers[each.who]!;
          const { token } = caller;
          const ref = { record: "r", owner: caller.owner, timeoutMs: 0 };
          if (each.do === "begin") {
            const request = {
              ...ref,
              fingerprint: "f",
              leaseMs,
              retentionMs,
              takeOver: true,
              watched: false,
            };
            await act(() => begin(caller, request));
          } else if (each.do === "withdraw")
            await act(() => finish({ ...ref, token: null, outcome: "released", body: null, retentionMs }));
          else if (token !== null && each.do === "extend")
            await act(async () => {
              const { kind } = await idempotency.extend({ ...ref, token, leaseMs, retentionMs });
              if (kind === "extended") assert.equal(present?.token, token);
            });
          else if (token !== null && each.do === "finish") {
            const body = each.outcome === "released" ? null : `${each.who}/${caller.calls++}`;
            await act(() => finish({ ...ref, token, outcome: each.outcome, body, retentionMs }));
          }
        }
      }
    }),
    { numRuns: 500 },
  );
});
