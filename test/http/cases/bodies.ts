import { randomBytes } from "node:crypto";

import { describe, expect, onTestFinished, test } from "vitest";

import { call, freshKey, problem } from "../client.ts";
import { counting, type Setting } from "../setting.ts";

/** Responses that are not kept. */
export function describeBodies({ serve }: Setting): void {
  describe("what is not kept", () => {
    test("a body that is too large passes through; later calls are told that it was executed", async () => {
      const body = randomBytes(300_000);
      const { handle, count } = counting({ headers: { "content-type": "application/pdf" }, body });
      const { url, events } = await serve(handle);
      const keyLines = [freshKey()];
      const first = await call(url, { keyLines });
      expect(first.status).toBe(200);
      expect(first.body.equals(body)).toBe(true);
      expect(events).toMatchObject([{ outcome: "not-kept", reason: "too-large", attempt: 1 }]);
      const second = await call(url, { keyLines });
      expect(second.status).toBe(409);
      expect(second.headers["retry-after"]).toBeUndefined();
      expect(problem(second)).toMatchObject({ type: "urn:problem-type:idempotency:response-not-kept" });
      expect(count()).toBe(1);
    });

    test.each([
      ["of events", "text/event-stream"],
      ["of anything", "application/pdf"],
    ])("a stream %s passes through as it comes, and is executed from its head on", async (_, type) => {
      const gate = Promise.withResolvers<void>();
      onTestFinished(() => gate.resolve());
      let executions = 0;
      const { url, events } = await serve(async () => {
        executions++;
        const body = async function* (): AsyncGenerator<Uint8Array> {
          yield Buffer.from("one\n\n");
          await gate.promise;
          yield Buffer.from("two\n\n");
        };
        return { headers: { "content-type": type }, body: body() };
      });
      const keyLines = [freshKey()];
      let seen = "";
      const first = call(url, { keyLines, onData: (chunk) => (seen += chunk.toString()) });
      await expect.poll(() => seen).toBe("one\n\n");
      expect(events).toMatchObject([{ outcome: "not-kept", reason: "stream", status: 200 }]);
      const second = await call(url, { keyLines });
      expect(second.status).toBe(409);
      expect(problem(second)).toMatchObject({ type: "urn:problem-type:idempotency:response-not-kept" });
      gate.resolve();
      expect((await first).body.toString()).toBe("one\n\ntwo\n\n");
      expect(executions).toBe(1);
    });
  });
}
