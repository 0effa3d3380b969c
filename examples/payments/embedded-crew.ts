import type { AddressInfo } from "node:net";
import { createCoordinator, type Coordinator } from "@leasehold/core";
import { memoryBackend, type MemoryStore } from "@leasehold/core/memory";
import type { FastifyInstance } from "fastify";
import { StoppableClock } from "../shared/stoppable-clock.ts";
import type { Crew, Job } from "./crew.ts";
import { buildShop, transferAt } from "./shop.ts";

interface Embedded {
  readonly app: FastifyInstance;
  readonly clock: StoppableClock;
  readonly coordinator: Coordinator;
  dead: boolean;
}

/**
 * Replicas in this process, each with a server, a coordinator, a backend and a clock of its own, over one store. One is killed
 * by closing its sockets, stopping its clock, and never letting it hear from the bank again: so it renews nothing, and
 * records nothing, as a killed process would not.
 */
export function embeddedCrew(store: MemoryStore, { shops, leaseMs }: Job): Crew {
  const crew = new Map<string, Embedded>();
  const { promise: failed } = Promise.withResolvers<never>();
  return {
    killed: "KILLED (simulated: its sockets close, its clock stops for good)",
    failed,
    start: async (bankUrl, report) =>
      Promise.all(
        shops.map(async (shop) => {
          const clock = new StoppableClock();
          const backend = memoryBackend({ store, clock });
          const coordinator = createCoordinator({ backend, namespace: "payments" });
          const app = buildShop({
            shop,
            coordinator,
            leaseMs,
            transfer: async (request, downstreamKey) => {
              const id = await transferAt(bankUrl, request, downstreamKey);
              return member.dead ? new Promise<never>(() => {}) : id;
            },
            report: (event) => {
              if (!member.dead) report(shop, event);
            },
          });
          const member: Embedded = { app, clock, coordinator, dead: false };
          crew.set(shop, member);
          await app.listen({ port: 0, host: "127.0.0.1" });
          return (app.server.address() as AddressInfo).port;
        }),
      ),
    kill: (shop) => {
      const member = crew.get(shop);
      if (member === undefined) throw new Error(`there is no ${shop}`);
      member.dead = true;
      member.clock.stop();
      member.app.server.close();
      member.app.server.closeAllConnections();
    },
    stop: async () => {
      const living = [...crew.values()].filter(({ dead }) => !dead);
      for (const { app } of living) app.server.closeAllConnections();
      await Promise.all(
        living.map(async ({ app, coordinator }) => {
          await app.close();
          await coordinator.close();
        }),
      );
    },
  };
}
