import { describe, expect, test } from "vitest";

import { call, freshKey, problem } from "../client.ts";
import { counting, type Setting } from "../setting.ts";

/** A store that does not answer. */
export function describeOutages({ serve, openStore }: Setting): void {
  describe("the store out of reach", () => {
    test("503 with Retry-After, of which nothing can be learned; nothing is executed", async () => {
      const { handle, count } = counting({});
      const { url } = await serve(handle, {}, openStore().lost());
      const key = freshKey();
      const answer = await call(url, { keyLines: [key] });
      expect(answer.status).toBe(503);
      expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
      expect(problem(answer)).toEqual({
        type: "urn:problem-type:idempotency:store-unavailable",
        title: "Idempotency-Key cannot be checked",
        status: 503,
        detail: expect.not.stringMatching(/\d|redis|acme/i),
      });
      expect(count()).toBe(0);
    });

    test("failOpen executes each time, unprotected, and says so", async () => {
      const { handle, count } = counting({ status: 201 });
      const { url, events } = await serve(handle, { failOpen: true }, openStore().lost());
      const keyLines = [freshKey()];
      expect(await call(url, { keyLines })).toMatchObject({ status: 201 });
      expect(await call(url, { keyLines })).toMatchObject({ status: 201 });
      expect(count()).toBe(2);
      expect(events).toMatchObject([
        { outcome: "executed", record: "unprotected" },
        { outcome: "executed", record: "unprotected" },
      ]);
    });
  });
}
