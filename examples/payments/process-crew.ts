import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import type { HttpEvent } from "@leasehold/http";
import { endOf, startChild, stopChild } from "../shared/child-process.ts";
import type { Place } from "../shared/place.ts";
import type { Crew, Job } from "./crew.ts";

/** What a replica's process is started with. */
export interface ShopOrders {
  readonly shop: string;
  readonly place: Place;
  readonly leaseMs: number;
  readonly bankUrl: string;
}

/** From a replica to us: where it listens, and what it does. */
export type ShopMessage = { readonly port: number } | { readonly event: HttpEvent };

const program = join(import.meta.dirname, "shop-process.ts");

/** Replicas as processes, on one store. */
export function processCrew(place: Place, { shops, leaseMs }: Job): Crew {
  const children = new Map<string, ChildProcess>();
  const ending = new Set<string>();
  const { promise: failed, reject: fail } = Promise.withResolvers<never>();
  failed.catch(() => undefined);
  return {
    killed: "KILLED (SIGKILL)",
    failed,
    start: async (bankUrl, report) => {
      const listening = shops.map((shop) => {
        const child = startChild(program, { shop, place, leaseMs, bankUrl } satisfies ShopOrders);
        children.set(shop, child);
        endOf(shop, child, () => ending.has(shop)).catch(fail);
        return new Promise<number>((resolve) =>
          child.on("message", (message: ShopMessage) => {
            if ("port" in message) resolve(message.port);
            else report(shop, message.event);
          }),
        );
      });
      return Promise.race([Promise.all(listening), failed]);
    },
    kill: (shop) => {
      ending.add(shop);
      children.get(shop)?.kill("SIGKILL");
    },
    stop: async () => {
      for (const shop of children.keys()) ending.add(shop);
      await Promise.all([...children.values()].map(stopChild));
    },
  };
}
