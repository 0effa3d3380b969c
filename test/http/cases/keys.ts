import { describe, expect, test } from "vitest";

import { call, freshKey, problem } from "../client.ts";
import { counting, outcomes, type Setting } from "../setting.ts";

/** What is a key, and which requests need one. */
export function describeKeys({ serve }: Setting): void {
  describe("the key", () => {
    test.each([
      ["missing", [], {}, "key-missing"],
      ["empty", [""], {}, "key-malformed"],
      ["an empty string", ['""'], {}, "key-malformed"],
      ["unquoted", ["abc"], {}, "key-malformed"],
      ["a number", ["42"], {}, "key-malformed"],
      ["half quoted", ['"abc'], {}, "key-malformed"],
      ["two in one line", ['"a", "b"'], {}, "key-malformed"],
      ["sent twice", ['"a"', '"a"'], {}, "key-malformed"],
      ["sent twice, unquoted", ["a", "a"], { acceptUnquoted: true }, "key-malformed"],
      ["longer than 255", [`"${"k".repeat(256)}"`], {}, "key-malformed"],
    ] as const)("%s: 400, and nothing is executed", async (_, keyLines, options, expected) => {
      const { handle, count } = counting({});
      const { url, events } = await serve(handle, options);
      const answer = await call(url, { keyLines });
      expect(answer.status).toBe(400);
      expect(answer.headers["content-type"]).toBe("application/problem+json");
      expect(problem(answer)).toMatchObject({
        status: 400,
        type: `urn:problem-type:idempotency:${expected}`,
      });
      expect(count()).toBe(0);
      expect(outcomes(events)).toEqual(["refused"]);
    });

    test("255 characters are a key; quoted and unquoted, where that is accepted, are the same one", async () => {
      const { handle, count } = counting({ body: "done" });
      const { url } = await serve(handle, { acceptUnquoted: true });
      const key = "k".repeat(255);
      expect(await call(url, { keyLines: [`"${key}"`] })).toMatchObject({ status: 200 });
      expect(await call(url, { keyLines: [key] })).toMatchObject({
        status: 200,
        headers: { "idempotent-replayed": "true" },
      });
      expect(count()).toBe(1);
    });

    test("other methods, and requests without a key where none is required, pass through", async () => {
      const contexts: unknown[] = [];
      const { url } = await serve(
        async ({ context }) => {
          contexts.push(context);
          return { body: "passed" };
        },
        { required: false },
      );
      expect(await call(url, { method: "GET", keyLines: [freshKey()] })).toMatchObject({ status: 200 });
      expect(await call(url, { body: { amount: 1 } })).toMatchObject({ status: 200 });
      expect(contexts).toEqual([null, null]);
    });
  });
}
