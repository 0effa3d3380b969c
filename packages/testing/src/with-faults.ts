import {
  LeaseholdError,
  sleep,
  type Backend,
  type CallOptions,
  type GrantListener,
  type LeaseStore,
  type RenewAnswer,
} from "@leasehold/core";

import type { Link, StoreCall } from "./harness.ts";

/**
 * A backend behind a link that fails on demand, at the level of calls: for the in-process store, which has no socket to cut,
 * and for tests of one's own code. Passes the conformance kit itself while no fault is switched on.
 */
export function withFaults(backend: Backend): { backend: Backend; link: Link } {
  const { clock, leases } = backend;
  let mode: "pass" | "cut" | "hold" = "pass";
  let pushes = true;
  const lost = new Map<StoreCall, () => void>();
  const held: (() => Promise<unknown>)[] = [];

  async function through<T>(call: StoreCall, timeoutMs: number, act: () => Promise<T>): Promise<T> {
    if (mode === "pass") {
      const lose = lost.get(call);
      if (lose === undefined) return act();
      lost.delete(call);
      await act();
      lose();
      throw unknown(call);
    }
    // The client gives up after its timeout; what it sent may still arrive.
    if (mode === "hold") held.push(act);
    await sleep(clock, timeoutMs);
    throw unknown(call);
  }

  const faulty: LeaseStore = {
    acquire: (request) => through("acquire", request.timeoutMs, () => leases.acquire(request)),
    release: (request) => through("release", request.timeoutMs, () => leases.release(request)),
    inspect: (resource, options: CallOptions) =>
      through("inspect", options.timeoutMs, () => leases.inspect(resource, options)),
    renew: (requests, options) =>
      through("renew", options.timeoutMs, () => leases.renew(requests, options)).catch((error: Error) =>
        requests.map((): RenewAnswer => ({ kind: "unanswered", error })),
      ),
    onGrant: (listener: GrantListener) =>
      leases.onGrant({
        // A push that the network drops has no answer; "known" keeps the store from taking the grant back.
        granted: (push) => (pushes && mode === "pass" ? listener.granted(push) : true),
        lookAgain: () => listener.lookAgain(),
      }),
  };

  return {
    backend: { ...backend, leases: faulty, [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose]() },
    link: {
      cut: () => void (mode = "cut"),
      heal: async () => {
        mode = "pass";
        pushes = true;
        for (const act of held.splice(0)) await act();
      },
      holdRequests: () => void (mode = "hold"),
      newConnectionsPass: () => void (mode = "pass"),
      deliverHeld: async () => {
        for (const act of held.splice(0)) await act();
      },
      loseReplyTo: (call) => new Promise<void>((resolve) => lost.set(call, resolve)),
      dropPushes: () => void (pushes = false),
    },
  };
}

function unknown(call: StoreCall): LeaseholdError {
  return new LeaseholdError("OUTCOME_UNKNOWN", `The ${call} was not answered in time.`);
}
