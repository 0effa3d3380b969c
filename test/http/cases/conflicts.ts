import { describe, expect, test, vi } from "vitest";

import { StoppableClock } from "../../../demos/shared/stoppable-clock.ts";
import { call, freshKey, problem } from "../client.ts";
import { counting, gated, outcomes, shortLeaseMs, takeover, type Setting } from "../setting.ts";

/** What happens while a handler runs: duplicates, disconnects, takeovers. */
export function describeConflicts({ serve, openStore }: Setting): void {
  describe("while another executes", () => {
    test("409 with Retry-After; another payload is 422 even then", async () => {
      const { handle, entered, open } = gated();
      const { url } = await serve(handle);
      const keyLines = [freshKey()];
      const first = call(url, { keyLines, body: { amount: 1 } });
      await expect.poll(entered).toBe(1);
      const second = await call(url, { keyLines, body: { amount: 1 } });
      expect(second.status).toBe(409);
      expect(Number(second.headers["retry-after"])).toBeGreaterThanOrEqual(29);
      expect(Number(second.headers["retry-after"])).toBeLessThanOrEqual(30);
      expect(problem(second)).toMatchObject({ type: "urn:problem-type:idempotency:in-progress" });
      expect(await call(url, { keyLines, body: { amount: 2 } })).toMatchObject({ status: 422 });
      open();
      expect(await first).toMatchObject({ status: 200 });
      expect(await call(url, { keyLines, body: { amount: 1 } })).toMatchObject({
        headers: { "idempotent-replayed": "true" },
      });
      expect(entered()).toBe(1);
    });

    test('with conflict: "wait" the duplicates get the result when it is there', async () => {
      const { handle, entered, open } = gated({ status: 201, body: { paid: 1 } });
      const { url } = await serve(handle, { conflict: "wait" });
      const keyLines = [freshKey()];
      const calls = Array.from({ length: 10 }, () => call(url, { keyLines, body: { amount: 1 } }));
      await expect.poll(entered).toBe(1);
      open();
      const answers = await Promise.all(calls);
      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 201));
      expect(answers.filter(({ headers }) => headers["idempotent-replayed"] === "true")).toHaveLength(9);
      expect(entered()).toBe(1);
    });

    test("a client that disconnects does not end the handler, and gets its result with the next try", async () => {
      const { handle, entered, open } = gated({ status: 201, body: { paid: 1 } });
      const { url, connections, events } = await serve(handle);
      const keyLines = [freshKey()];
      const leaving = new AbortController();
      const first = call(url, { keyLines, body: { amount: 1 }, signal: leaving.signal });
      await expect.poll(entered).toBe(1);
      leaving.abort();
      await expect(first).rejects.toThrow(/socket hang up|ECONNRESET|aborted/);
      await expect.poll(connections).toBe(0);
      expect(await call(url, { keyLines, body: { amount: 1 } })).toMatchObject({ status: 409 });
      open();
      await expect.poll(() => outcomes(events)).toEqual(["refused", "executed"]);
      const second = await call(url, { keyLines, body: { amount: 1 } });
      expect(second).toMatchObject({ status: 201, headers: { "idempotent-replayed": "true" } });
      expect(JSON.parse(second.body.toString())).toEqual({ paid: 1 });
      expect(entered()).toBe(1);
    });

    test("the same for an empty response", async () => {
      const { handle, entered, open } = gated({ status: 204 });
      const { url, connections, events } = await serve(handle);
      const keyLines = [freshKey()];
      const leaving = new AbortController();
      const first = call(url, { keyLines, signal: leaving.signal });
      await expect.poll(entered).toBe(1);
      leaving.abort();
      await expect(first).rejects.toThrow(/socket hang up|ECONNRESET|aborted/);
      await expect.poll(connections).toBe(0);
      open();
      await expect.poll(() => outcomes(events)).toEqual(["executed"]);
      expect(await call(url, { keyLines })).toMatchObject({
        status: 204,
        headers: { "idempotent-replayed": "true" },
      });
    });

    test("one that was paused past its lease is not believed: 409, and the third call gets the second's result", async () => {
      const store = openStore();
      const clock = new StoppableClock();
      const { handle, entered, open } = gated({
        status: 201,
        headers: { etag: '"1"' },
        cookies: ["session=the-first's"],
        body: "the first's",
      });
      const paused = await serve(handle, { leaseMs: shortLeaseMs }, store.replica({ clock }));
      const { handle: quick } = counting((attempt) => ({ status: 201, body: `attempt ${attempt}` }));
      const other = await serve(quick, { leaseMs: shortLeaseMs }, store.replica());
      const keyLines = [freshKey()];
      const first = call(paused.url, { keyLines });
      await expect.poll(entered).toBe(1);
      clock.stop();
      await vi.waitFor(
        async () => expect(await call(other.url, { keyLines })).toMatchObject({ status: 201 }),
        takeover,
      );
      open();
      const fenced = await first;
      expect(fenced).toMatchObject({ status: 409, headers: { "retry-after": "1" } });
      expect(problem(fenced)).toMatchObject({ type: "urn:problem-type:idempotency:taken-over" });
      expect(fenced.body.toString()).not.toContain("the first's");
      expect([fenced.headers.etag, fenced.headers["set-cookie"]]).toEqual([undefined, undefined]);
      const third = await call(paused.url, { keyLines });
      expect(third).toMatchObject({ status: 201, headers: { "idempotent-replayed": "true" } });
      expect(third.body.toString()).toBe("attempt 2");
    });
  });
}
