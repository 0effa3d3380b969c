import { randomBytes } from "node:crypto";

import { describe, expect, test } from "vitest";

import { call, freshKey, problem, type Answer } from "../client.ts";
import type { Reply } from "../service.ts";
import { counting, outcomes, type Setting } from "../setting.ts";

/** What a repetition gets, and what is one. */
export function describeReplays({ serve }: Setting): void {
  describe("replay", () => {
    test.each<[string, Reply]>([
      ["JSON", { status: 201, headers: { etag: '"1"', location: "/charges/1" }, body: { paid: 42 } }],
      [
        "bytes of every value",
        {
          headers: { "content-type": "application/octet-stream" },
          body: Uint8Array.from({ length: 512 }, (__, i) => i % 256),
        },
      ],
      ["an empty body", { status: 200 }],
      ["204", { status: 204 }],
      ["303", { status: 303, headers: { location: "/charges/1" } }],
      ["304", { status: 304, headers: { etag: '"1"' } }],
      ["404", { status: 404, body: { error: "no such account" } }],
      ["422", { status: 422, body: { error: "no such currency" } }],
    ])("%s: the same status, headers and bytes, and no second execution", async (_, reply) => {
      const { handle, count } = counting({
        ...reply,
        headers: { ...reply.headers, "x-request-id": "1" },
        cookies: ["session=secret", "theme=dark"],
      });
      const { url, events } = await serve(handle);
      const keyLines = [freshKey()];
      const first = await call(url, { keyLines, body: { amount: 42 } });
      const second = await call(url, { keyLines, body: { amount: 42 } });
      expect(first.status).toBe(reply.status ?? 200);
      expect(first.headers["set-cookie"]).toEqual(["session=secret", "theme=dark"]);
      expect(first.headers["idempotent-replayed"]).toBeUndefined();
      expect(second.status).toBe(first.status);
      expect(second.body.equals(first.body)).toBe(true);
      const { date: __, connection: ___, "set-cookie": ____, "x-request-id": _____, ...kept } = first.headers;
      expect({ ...second.headers, date: undefined, connection: undefined }).toEqual({
        ...kept,
        date: undefined,
        connection: undefined,
        "idempotent-replayed": "true",
      });
      expect(count()).toBe(1);
      expect(outcomes(events)).toEqual(["executed", "replayed"]);
    });

    test("the order of members and the white space of JSON make no difference; its values, the path and the query do", async () => {
      const { handle, count } = counting({ body: "done" });
      const { url } = await serve(handle);
      const keyLines = [freshKey()];
      const headers = { "content-type": "application/json; charset=utf-8" };
      const ask = (body: string, path = "/charges"): Promise<Answer> =>
        call(url, { keyLines, headers, body, path });
      expect((await ask('{"amount":1,"to":{"b":1,"a":2}}')).status).toBe(200);
      expect((await ask('{ "to": {"a":2, "b":1}, "amount": 1.0 }')).status).toBe(200);
      expect((await ask('{"amount":2,"to":{"b":1,"a":2}}')).status).toBe(422);
      expect((await ask('{"amount":1,"to":{"b":1,"a":2}}', "/refunds")).status).toBe(422);
      expect((await ask('{"amount":1,"to":{"b":1,"a":2}}', "/charges?dry=1")).status).toBe(422);
      expect(count()).toBe(1);
    });

    test("bytes are compared as bytes", async () => {
      const bodies: unknown[] = [];
      const { url } = await serve(async ({ body }) => {
        bodies.push(body);
        return { status: 202 };
      });
      const keyLines = [freshKey()];
      const headers = { "content-type": "application/octet-stream" };
      const body = randomBytes(70_000);
      expect(await call(url, { keyLines, headers, body })).toMatchObject({ status: 202 });
      expect(await call(url, { keyLines, headers, body })).toMatchObject({ status: 202 });
      expect(bodies).toHaveLength(1);
      expect(body.equals(bodies[0] as Buffer)).toBe(true);
      body[60_000]! ^= 1;
      const other = await call(url, { keyLines, headers, body });
      expect(other.status).toBe(422);
      expect(problem(other)).toMatchObject({ type: "urn:problem-type:idempotency:key-reused" });
    });

    test("two tenants under one key never meet, and a tenant without a name gets nothing", async () => {
      const { handle, count } = counting((attempt) => ({ body: `for me alone, attempt ${attempt}` }));
      const { url } = await serve(handle);
      const keyLines = [freshKey()];
      for (const tenant of ["acme", "globex"]) {
        const answer = await call(url, { keyLines, headers: { "x-tenant": tenant } });
        expect(answer).toMatchObject({ status: 200 });
        expect(answer.headers["idempotent-replayed"]).toBeUndefined();
      }
      expect(count()).toBe(2);
      expect(await call(url, { keyLines, headers: { "x-tenant": "" } })).toMatchObject({ status: 500 });
      expect(count()).toBe(2);
    });
  });
}
