import type { Backend } from "@leasehold/core";
import { describe, expect, test, vi } from "vitest";

import { checkUnstalled, unlessStalled } from "../../stall/index.ts";
import { call, freshKey, problem } from "../client.ts";
import type { Handle } from "../service.ts";
import { counting, shortLeaseMs, takeover, type Setting } from "../setting.ts";

/** What a response says of its execution, and when it is sent. */
export function describeDispositions({ serve, openStore }: Setting): void {
  describe("what is stored", () => {
    test.each([401, 408, 409, 425, 429])("%i is released: the next call executes", async (status) => {
      const { handle, count } = counting((attempt) =>
        attempt === 1 ? { status, body: "no" } : { body: "yes" },
      );
      const { url } = await serve(handle);
      const keyLines = [freshKey()];
      expect(await call(url, { keyLines })).toMatchObject({ status });
      const second = await call(url, { keyLines });
      expect(second).toMatchObject({ status: 200 });
      expect(second.body.toString()).toBe("yes");
      expect(count()).toBe(2);
    });

    test.each<[string, Handle]>([
      [
        "a 500",
        async ({ context }) => (context?.attempt === 1 ? { status: 500, body: "oh" } : { body: "2" }),
      ],
      [
        "a handler that throws",
        async ({ context }) => {
          if (context?.attempt === 1) throw new Error("after the charge");
          return { body: "2" };
        },
      ],
    ])("%s leaves the key taken until the lease ends; then another executes", async (_, handle) => {
      const { url } = await serve(handle, { leaseMs: shortLeaseMs });
      const [keyLines, second] = await unlessStalled(shortLeaseMs / 2, async () => {
        const fromNs = process.hrtime.bigint();
        const fresh = [freshKey()];
        expect(await call(url, { keyLines: fresh })).toMatchObject({ status: 500 });
        const answer = await call(url, { keyLines: fresh });
        checkUnstalled(shortLeaseMs / 2, fromNs, () => expect(answer.status).toBe(409));
        return [fresh, answer] as const;
      });
      expect(second).toMatchObject({ status: 409, headers: { "retry-after": "1" } });
      expect(problem(second)).toMatchObject({ type: "urn:problem-type:idempotency:in-progress" });
      const third = await vi.waitFor(async () => {
        const answer = await call(url, { keyLines });
        expect(answer.status).toBe(200);
        return answer;
      }, takeover);
      expect(third.body.toString()).toBe("2");
    });

    test('with onExpired: "fail" it is refused for good: 409 of its own type, without Retry-After', async () => {
      const { handle, count } = counting({ status: 500 });
      const { url } = await serve(handle, { leaseMs: shortLeaseMs, onExpired: "fail" });
      const keyLines = [freshKey()];
      await call(url, { keyLines });
      const refused = await vi.waitFor(async () => {
        const answer = await call(url, { keyLines });
        expect(problem(answer)).toMatchObject({ type: "urn:problem-type:idempotency:outcome-unknown" });
        return answer;
      }, takeover);
      expect(refused.status).toBe(409);
      expect(refused.headers["retry-after"]).toBeUndefined();
      expect(count()).toBe(1);
    });

    test('with on5xx: "released" the next call executes at once', async () => {
      const { handle, count } = counting((attempt) => ({ status: attempt === 1 ? 503 : 200 }));
      const { url } = await serve(handle, { on5xx: "released" });
      const keyLines = [freshKey()];
      expect(await call(url, { keyLines })).toMatchObject({ status: 503 });
      expect(await call(url, { keyLines })).toMatchObject({ status: 200 });
      expect(count()).toBe(2);
    });

    test("the response is not sent before it is stored", async () => {
      const order: string[] = [];
      const slow = (backend: Backend): Backend => {
        const { idempotency } = backend;
        const finish: typeof idempotency.finish = async (request) => {
          // Long against the way of a response through this machine, which would overtake it.
          await new Promise((resolve) => setTimeout(resolve, 100));
          const reply = await idempotency.finish(request);
          order.push("stored");
          return reply;
        };
        return {
          ...backend,
          idempotency: {
            maxBodyBytes: idempotency.maxBodyBytes,
            begin: (request) => idempotency.begin(request),
            extend: (request) => idempotency.extend(request),
            watch: (record, listener) => idempotency.watch(record, listener),
            finish,
          },
          [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
        };
      };
      const { url } = await serve(async () => ({ body: "done" }), {}, openStore().replica({ wrap: slow }));
      await call(url, { keyLines: [freshKey()], onData: () => order.push("sent") });
      expect(order).toEqual(["stored", "sent"]);
    });
  });

  test("a handler is told of its execution: attempt, token, downstream key, signal, deadline", async () => {
    const contexts: { attempt: number; fencingToken: bigint; downstreamKey: string; deadline: number }[] = [];
    const { url } = await serve(async ({ context }) => {
      if (context === null) throw new Error("unprotected");
      expect(context.signal.aborted).toBe(false);
      expect(context.remainingMs).toBeGreaterThan(20_000);
      contexts.push({ ...context });
      return { status: 429 };
    });
    const keyLines = [freshKey()];
    await call(url, { keyLines });
    await call(url, { keyLines });
    await call(url, { keyLines: [freshKey()] });
    const [first, second, third] = contexts;
    expect([first!.attempt, second!.attempt, third!.attempt]).toEqual([1, 2, 1]);
    expect(second!.fencingToken).toBeGreaterThan(first!.fencingToken);
    expect(second!.downstreamKey).toBe(first!.downstreamKey);
    expect(third!.downstreamKey).not.toBe(first!.downstreamKey);
    expect(first!.deadline).toBeGreaterThan(Date.now() + 500_000);
  });
}
