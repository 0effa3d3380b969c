import type { AddressInfo } from "node:net";
import { idempotencyKey, type HttpEvent } from "@leasehold/http/fastify";
import Fastify from "fastify";
import type { Program } from "../shared/member.ts";

export interface ShopConfig {
  readonly bankUrl: string;
}

/** From a replica: where it listens, and what it does. */
export type ShopEvent = { readonly port: number } | { readonly event: HttpEvent };

/** One replica of the service that customers pay at. */
const shop: Program<ShopConfig, never, ShopEvent> = {
  file: import.meta.filename,
  main: async ({ name, config, coordinator, ttlMs, tell, killed }) => {
    const app = Fastify();
    app.register(
      idempotencyKey(coordinator, {
        // In a real one, who authentication says it is.
        scope: (request) => `${String(request.headers["x-tenant"])}/charges`,
        leaseMs: ttlMs,
        onEvent: (event) => tell({ event }),
      }),
    );
    app.post("/charges", async (request, reply) => {
      const { order, amount } = request.body as { order: string; amount: number };
      const downstreamKey = request.idempotency?.downstreamKey ?? "";
      const transfer = await transferAt(config.bankUrl, { order, amount, shop: name }, downstreamKey);
      // A killed one never hears from the bank again, and so records nothing.
      if (killed.aborted) await new Promise<never>(() => {});
      reply.code(201);
      return { order, amount, transfer };
    });
    await app.listen({ port: 0, host: "127.0.0.1" });
    killed.addEventListener("abort", () => {
      app.server.close();
      app.server.closeAllConnections();
    });
    tell({ port: (app.server.address() as AddressInfo).port });
    // It serves for as long as its process lives.
    await new Promise<never>(() => {});
  },
};
export default shop;

/** Asks the bank, under the key that is the same for every attempt at one charge. */
async function transferAt(bankUrl: string, request: object, downstreamKey: string): Promise<string> {
  const answer = await fetch(`${bankUrl}/transfers`, {
    method: "POST",
    headers: { "idempotency-key": downstreamKey },
    body: JSON.stringify(request),
  });
  return ((await answer.json()) as { transfer: string }).transfer;
}
