import { sleep, systemClock, type Coordinator } from "@leasehold/core";
import {
  isBrokenCircuitError,
  sharedCircuitBreaker,
  type CircuitEvent,
  type CircuitState,
  type FleetEvent,
  type SharedState,
} from "@leasehold/resilience";
import { nowMs } from "../shared/now-ms.ts";
import type { Job } from "./crew.ts";

type NodeWord =
  | { readonly kind: "ready" | "voted" | "withdrawn" | "leading" }
  /** Its own breaker, which governs while the fleet's circuit is closed. */
  | { readonly kind: "own"; readonly to: CircuitState; readonly reason: string }
  /** The fleet's circuit, as this node sees it. */
  | { readonly kind: "fleet"; readonly to: SharedState; readonly attempt: number; readonly reason: string }
  | { readonly kind: "probed"; readonly outcome: string };

/** What a node tells. `atMs` is on the machine's monotonic clock. */
export type NodeEvent = NodeWord & { readonly atMs: number };

export interface NodeLife {
  readonly node: string;
  readonly coordinator: Coordinator;
  readonly job: Job;
  /** One call of the dependency, without any breaker: whether it was served. */
  readonly call: () => Promise<boolean>;
  readonly signal: AbortSignal;
  readonly report: (event: NodeEvent) => void;
}

/** Calls the dependency every 40 ms or a little more, through its end of the shared breaker, for as long as `signal` lets it. */
export async function live({ node, coordinator, job, call, signal, report }: NodeLife): Promise<void> {
  const { nodes, share, ttlMs, pollMs, openMs } = job;
  const breaker = sharedCircuitBreaker(coordinator, {
    name: "payments",
    node,
    nodes: () => nodes.length,
    share,
    window: { type: "consecutive", failures: 3 },
    failureIfResult: (served) => served === false,
    openMs: ({ retry }) => openMs * retry,
    ttlMs,
    pollMs,
    onEvent: (event) => {
      const told = translate(event);
      if (told !== null) report({ ...told, atMs: nowMs() });
    },
  });
  report({ kind: "ready", atMs: nowMs() });
  const calls = new Set<Promise<unknown>>();
  while (!signal.aborted) {
    // Here a service would answer from a cache, or say 503 with the error's retryAfterMs.
    const made = breaker.execute(call).catch((error: unknown) => {
      if (!isBrokenCircuitError(error)) throw error;
    });
    calls.add(made);
    void made.finally(() => calls.delete(made));
    await sleep(systemClock, 40 + 10 * nodes.indexOf(node), signal, { keepAlive: true });
  }
  await Promise.all(calls);
  await breaker.close();
}

/** An event of the breaker, in the words of the show; null for what it does not tell. */
function translate(event: CircuitEvent | FleetEvent): NodeWord | null {
  switch (event.type) {
    case "voted":
    case "withdrawn":
    case "leading":
      return { kind: event.type };
    case "changed":
      return { kind: "own", to: event.to, reason: event.reason };
    case "fleet-changed":
      return { kind: "fleet", to: event.to, attempt: event.attempt, reason: event.reason };
    case "probed":
      return { kind: "probed", outcome: event.outcome };
    case "rejected":
    case "degraded":
    case "restored":
      return null;
  }
}
