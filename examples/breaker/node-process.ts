import { Agent, get } from "node:http";
import { createCoordinator } from "@leasehold/core";
import { backendAt } from "../shared/backend-at.ts";
import { live, type NodeEvent } from "./node.ts";
import type { NodeOrders } from "./process-crew.ts";

const { node, place, job, url } = JSON.parse(process.argv[2] ?? "") as NodeOrders;

const dismissal = new AbortController();
process.once("message", () => dismissal.abort());
// Without its parent nobody would ever end it.
process.on("disconnect", () => process.exit(1));

const agent = new Agent({ keepAlive: true });
const call = (): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const sent = get(`${url}/${node}`, { agent }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode === 200));
    });
    sent.once("error", reject);
  });

const coordinator = createCoordinator({
  backend: await backendAt(place),
  namespace: place.run,
  ttlMs: job.ttlMs,
});
const report = (event: NodeEvent): unknown => process.send?.(event);
await live({ node, coordinator, job, call, signal: dismissal.signal, report });
await coordinator.close();
agent.destroy();
process.removeAllListeners("disconnect");
process.disconnect();
