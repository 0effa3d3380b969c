import { createFencingGuard } from "@leasehold/core";
import { startFaultProxy } from "@leasehold/testing";
import { expect, test } from "vitest";

import { call, freshKey } from "../client.ts";
import type { Handle } from "../service.ts";
import type { Setting } from "../setting.ts";

/** Replies that never reach the client. */
export function describeLostReplies({ serve }: Setting): void {
  test("a client retries through a proxy that cuts the reply 50 times: one effect, one result", async () => {
    const { resource, handle } = fencedResource();
    const { url } = await serve(handle);
    await using proxy = await startFaultProxy({
      target: { host: "127.0.0.1", port: Number(new URL(url).port) },
    });
    const keyLines = [freshKey()];
    for (let i = 0; i < 50; i++) {
      const cut = proxy.cutAfterNextRequest();
      await expect(call(proxy.url("http"), { keyLines, body: { amount: 1 } })).rejects.toThrow(
        /socket hang up|ECONNRESET|aborted/,
      );
      await cut;
    }
    const answer = await call(proxy.url("http"), { keyLines, body: { amount: 1 } });
    expect(answer).toMatchObject({ status: 201, headers: { "idempotent-replayed": "true" } });
    expect(JSON.parse(answer.body.toString())).toEqual({ effect: 1 });
    expect(resource.effects).toBe(1);
  });

  test("50 clients whose first reply is cut: one effect for each, and each gets its own result", async () => {
    const { resource, handle } = fencedResource();
    const { url } = await serve(handle);
    await using proxy = await startFaultProxy({
      target: { host: "127.0.0.1", port: Number(new URL(url).port) },
    });
    const results: number[] = [];
    for (let i = 0; i < 50; i++) {
      const keyLines = [freshKey()];
      const cut = proxy.cutAfterNextRequest();
      await expect(call(proxy.url("http"), { keyLines, body: { i } })).rejects.toThrow(
        /socket hang up|ECONNRESET|aborted/,
      );
      await cut;
      const { body } = await call(proxy.url("http"), { keyLines, body: { i } });
      results.push((JSON.parse(body.toString()) as { effect: number }).effect);
    }
    expect(results).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
    expect(resource.effects).toBe(50);
  });
}

/** A resource for each key, that refuses stale tokens, and counts what was done to it. */
function fencedResource(): { resource: { effects: number }; handle: Handle } {
  const guards = new Map<string, ReturnType<typeof createFencingGuard>>();
  const resource = { effects: 0 };
  const handle: Handle = async ({ context }) => {
    if (context === null) throw new Error("unprotected");
    const guard = guards.get(context.downstreamKey) ?? createFencingGuard();
    guards.set(context.downstreamKey, guard);
    guard.claim(context.fencingToken);
    return { status: 201, body: { effect: ++resource.effects } };
  };
  return { resource, handle };
}
