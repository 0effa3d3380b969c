import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { createCoordinator } from "@leasehold/core";
import { isBrokenCircuitError, sharedCircuitBreaker } from "@leasehold/resilience";

import { openBackend, type StoreSpec } from "./store-spec.ts";
import { codeOf, nextCommand, reportTroubles, say, workerArgs } from "./worker-io.ts";

export interface CircuitNodeArgs {
  readonly store: StoreSpec;
  readonly namespace: string;
  readonly node: string;
  /** Of the `CircuitDependency`. */
  readonly port: number;
  readonly ttlMs: number;
  readonly pollMs: number;
  readonly maxStalenessMs: number;
  readonly openMs: number;
}

const callEveryMs = 30;

// Calls a dependency through a shared breaker, again and again: see circuit-fleet.ts.
reportTroubles();
const { store, namespace, node, port, ...times } = workerArgs<CircuitNodeArgs>();
const { ttlMs, pollMs, maxStalenessMs, openMs } = times;
const coordinator = createCoordinator({ backend: await openBackend(store), namespace, ttlMs });
const agent = new Agent({ keepAlive: true });
const breaker = sharedCircuitBreaker(coordinator, {
  name: "dependency",
  node,
  window: { type: "consecutive", failures: 3 },
  openMs,
  pollMs,
  maxStalenessMs,
  probeWaitMs: 500,
  halfOpen: { probeTimeoutMs: 20_000 },
  failureIfResult: (status) => status === 503,
  onEvent: ({ type, ...event }) => {
    if (type !== "rejected") say(type, { ...event, error: undefined, atNs: process.hrtime.bigint() });
  },
});
breaker.onStateChange(({ to }) =>
  say("state", { to, governedBy: breaker.governedBy, atNs: process.hrtime.bigint() }),
);

function send(): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: "127.0.0.1", agent, headers: { "x-node": node } }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode ?? 0));
    });
    sent.once("error", reject).end();
  });
}

const counts = { ok: 0, failed: 0, rejected: 0 };

async function call(): Promise<void> {
  try {
    const status = await breaker.execute(send);
    counts[status === 200 ? "ok" : "failed"] += 1;
  } catch (error) {
    if (isBrokenCircuitError(error)) counts.rejected += 1;
    // A store that is down must not do this to a call, and the dependency does not.
    else say("error", { code: codeOf(error) });
  }
}

const stop = new AbortController();
const calls = new Set<Promise<void>>();
const calling = (async () => {
  while (!stop.signal.aborted) {
    // One that hangs does not keep the next one from being made.
    const made = call();
    calls.add(made);
    void made.then(() => calls.delete(made));
    await sleep(callEveryMs);
  }
})();

say("ready", { state: breaker.state });
for (let command = await nextCommand(); command !== "stop"; command = await nextCommand())
  say("counts", { ...counts, state: breaker.state, governedBy: breaker.governedBy, command });
stop.abort();
await calling;
await Promise.all(calls);
agent.destroy();
await breaker.close();
await coordinator.close();
