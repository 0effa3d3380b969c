import { Agent, get } from "node:http";
import { sleep } from "@leasehold/core";
import {
  isBrokenCircuitError,
  sharedCircuitBreaker,
  type CircuitEvent,
  type CircuitState,
  type FleetEvent,
  type SharedState,
} from "@leasehold/resilience";
import type { MemberContext, Program } from "../shared/member.ts";
import { nowMs } from "../shared/now-ms.ts";

/** What every node is told. */
export interface Job {
  readonly nodes: readonly string[];
  /** Of them, which share must have found the dependency failing. */
  readonly share: number;
  readonly pollMs: number;
  /**
   * How long the circuit stays open the first time; longer by as much each time that a probe fails.
   */
  readonly openMs: number;
}

/** The job, and where the dependency is found. */
export interface NodeConfig extends Job {
  readonly url: string;
}

/** It leaves the fleet, and ends. */
export type NodeMessage = "leave";

type NodeFact =
  | { readonly kind: "ready" | "voted" | "withdrawn" | "leading" }
  /** Its own breaker, which governs while the fleet's circuit is closed. */
  | { readonly kind: "own"; readonly to: CircuitState; readonly reason: string }
  /** The fleet's circuit, as this node sees it. */
  | { readonly kind: "fleet"; readonly to: SharedState; readonly attempt: number; readonly reason: string }
  | { readonly kind: "probed"; readonly outcome: string };

/** What a node tells. `atMs` is on the machine's monotonic clock. */
export type NodeEvent = NodeFact & { readonly atMs: number };

const node: Program<NodeConfig, NodeMessage, NodeEvent> = { file: import.meta.filename, main };
export default node;

/**
 * Calls the dependency every 40 ms or a little more, through its end of the shared breaker, until
 * told to leave.
 */
async function main(context: MemberContext<NodeConfig, NodeMessage, NodeEvent>): Promise<void> {
  const { name, coordinator, clock, ttlMs, tell, listen, killed } = context;
  const { nodes, share, pollMs, openMs, url } = context.config;
  const left = new AbortController();
  listen(() => left.abort());
  const agent = new Agent({ keepAlive: true });
  killed.addEventListener("abort", () => agent.destroy());
  const breaker = sharedCircuitBreaker(coordinator, {
    name: "payments",
    node: name,
    nodes: () => nodes.length,
    share,
    window: { type: "consecutive", failures: 3 },
    failureIfResult: (served) => served === false,
    openMs: ({ retry }) => openMs * retry,
    ttlMs,
    pollMs,
    onEvent: (event) => {
      const fact = factOf(event);
      if (fact !== null) tell({ ...fact, atMs: nowMs() });
    },
  });
  tell({ kind: "ready", atMs: nowMs() });
  const calls = new Set<Promise<unknown>>();
  while (!left.signal.aborted) {
    // Here a service would answer from a cache, or say 503 with the error's retryAfterMs.
    const made = breaker
      .execute(() => call(`${url}/${name}/${nowMs()}`, agent, killed))
      .catch((error: unknown) => {
        if (!isBrokenCircuitError(error)) throw error;
      });
    calls.add(made);
    void made.finally(() => calls.delete(made));
    await sleep(clock, 40 + 10 * nodes.indexOf(name), left.signal, { keepAlive: true });
  }
  await Promise.all(calls);
  await breaker.close();
  agent.destroy();
}

/** One call of the dependency, without any breaker: whether it was served. */
async function call(url: string, agent: Agent, killed: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = get(url, { agent }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode === 200));
    });
    // A connection that breaks has served nobody: a server may close an idle one just as it is used
    // again. A killed node does not hear that its sockets were closed.
    sent.once("error", () => killed.aborted || resolve(false));
  });
}

/** What a node tells of an event of its breaker; null: nothing. */
function factOf(event: CircuitEvent | FleetEvent): NodeFact | null {
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
