import type { AddressInfo } from "node:net";
import { createCoordinator } from "@leasehold/core";
import { backendAt } from "../shared/backend-at.ts";
import type { ShopMessage, ShopOrders } from "./process-crew.ts";
import { buildShop, transferAt } from "./shop.ts";

const { shop, place, leaseMs, bankUrl } = JSON.parse(process.argv[2] ?? "") as ShopOrders;

const tell = (message: ShopMessage): void => void process.send?.(message);
// Without its parent nobody would ever end it.
process.on("disconnect", () => process.exit(1));

const app = buildShop({
  shop,
  coordinator: createCoordinator({ backend: await backendAt(place), namespace: place.run }),
  leaseMs,
  transfer: (request, downstreamKey) => transferAt(bankUrl, request, downstreamKey),
  report: (event) => tell({ event }),
});
await app.listen({ port: 0, host: "127.0.0.1" });
tell({ port: (app.server.address() as AddressInfo).port });
