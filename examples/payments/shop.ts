import type { Coordinator } from "@leasehold/core";
import { idempotencyKey, type HttpEvent } from "@leasehold/http/fastify";
import Fastify, { type FastifyInstance } from "fastify";

export interface ShopOptions {
  readonly shop: string;
  readonly coordinator: Coordinator;
  readonly leaseMs: number;
  /** Moves the money, and tells how the bank calls that. */
  readonly transfer: (request: object, downstreamKey: string) => Promise<string>;
  readonly report: (event: HttpEvent) => void;
}

/** One replica of the service that customers pay at. */
export function buildShop({ shop, coordinator, leaseMs, transfer, report }: ShopOptions): FastifyInstance {
  const app = Fastify();
  app.register(
    idempotencyKey(coordinator, {
      // In a real one, who authentication says it is.
      scope: (request) => `${String(request.headers["x-tenant"])}/charges`,
      leaseMs,
      onEvent: report,
    }),
  );
  app.post("/charges", async (request, reply) => {
    const { order, amount } = request.body as { order: string; amount: number };
    const downstreamKey = request.idempotency?.downstreamKey ?? "";
    const id = await transfer({ order, amount, shop }, downstreamKey);
    reply.code(201);
    return { order, amount, transfer: id };
  });
  return app;
}

/** Asks the bank, under the key that is the same for every attempt at one charge. */
export async function transferAt(bankUrl: string, request: object, downstreamKey: string): Promise<string> {
  const answer = await fetch(`${bankUrl}/transfers`, {
    method: "POST",
    headers: { "idempotency-key": downstreamKey },
    body: JSON.stringify(request),
  });
  return ((await answer.json()) as { transfer: string }).transfer;
}
