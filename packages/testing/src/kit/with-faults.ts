import {
  LeaseholdError,
  sleep,
  type Backend,
  type CallOptions,
  type ChangeListener,
  type GrantListener,
  type IdempotencyStore,
  type LeaseStore,
  type RenewAnswer,
} from "@leasehold/core";

import type { Link, StoreCall } from "./harness.ts";

/**
 * A backend behind a link that fails on demand, at the level of calls: for the in-process store,
 * which has no socket to cut, and for tests of one's own code. Passes the conformance kit itself
 * while no fault is switched on.
 */
export function withFaults(backend: Backend): { backend: Backend; link: Link } {
  const { clock, leases, idempotency } = backend;
  let mode: "pass" | "cut" | "hold" = "pass";
  let pushes = true;
  let slowMs = 0;
  const lost = new Map<StoreCall, () => void>();
  const watchers = new Set<ChangeListener>();
  const held: (() => Promise<unknown>)[] = [];

  async function through<T>(call: StoreCall, timeoutMs: number, act: () => Promise<T>): Promise<T> {
    if (mode === "pass") {
      const lose = lost.get(call);
      if (lose === undefined) return delayed(act);
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

  async function delayed<T>(act: () => Promise<T>): Promise<T> {
    if (slowMs === 0) return act();
    await sleep(clock, slowMs);
    const result = await act();
    await sleep(clock, slowMs);
    return result;
  }

  /** Changes that the link swallows are missed; once it heals everybody looks again. */
  function watched(watch: (tell: ChangeListener) => () => void, listener: ChangeListener): () => void {
    // In a function of its own, so that one listener may be given twice.
    const tell = (): void => listener();
    const stop = watch(() => {
      if (pushes && mode === "pass") tell();
    });
    watchers.add(tell);
    return () => {
      watchers.delete(tell);
      stop();
    };
  }

  // The link is part of the way: an acknowledgement counts from before the request went onto it.
  const faulty: LeaseStore = {
    acquire: async (request) => {
      const sentAt = clock.now();
      const reply = await through("acquire", request.timeoutMs, () => leases.acquire(request));
      return reply.kind === "refused" ? reply : { ...reply, validFrom: sentAt };
    },
    release: (request) => through("release", request.timeoutMs, () => leases.release(request)),
    propose: (request) => through("propose", request.timeoutMs, () => leases.propose(request)),
    evict: (request) => through("evict", request.timeoutMs, () => leases.evict(request)),
    watch: (resource, listener) => watched((tell) => leases.watch(resource, tell), listener),
    inspect: (resource, options: CallOptions) =>
      through("inspect", options.timeoutMs, () => leases.inspect(resource, options)),
    look: (resource, options) => through("look", options.timeoutMs, () => leases.look(resource, options)),
    renew: async (requests, options) => {
      const sentAt = clock.now();
      try {
        const answers = await through("renew", options.timeoutMs, () => leases.renew(requests, options));
        return answers.map((answer) =>
          answer.kind === "renewed" ? { ...answer, validFrom: sentAt } : answer,
        );
      } catch (error) {
        return requests.map((): RenewAnswer => ({ kind: "unanswered", error: error as Error }));
      }
    },
    onGrant: (listener: GrantListener) =>
      leases.onGrant({
        // A push that the network drops has no answer; "known" keeps the store from taking the
        // grant back.
        granted: (push) => (pushes && mode === "pass" ? listener.granted(push) : true),
        lookAgain: () => listener.lookAgain(),
        knows: (owner) => listener.knows?.(owner) ?? true,
      }),
  };

  const records: IdempotencyStore = {
    maxBodyBytes: idempotency.maxBodyBytes,
    begin: async (request) => {
      const validFrom = clock.now();
      const reply = await through("begin", request.timeoutMs, () => idempotency.begin(request));
      return reply.kind === "begun" ? { ...reply, validFrom } : reply;
    },
    extend: async (request) => {
      const validFrom = clock.now();
      const reply = await through("extend", request.timeoutMs, () => idempotency.extend(request));
      return reply.kind === "extended" ? { ...reply, validFrom } : reply;
    },
    finish: (request) => through("finish", request.timeoutMs, () => idempotency.finish(request)),
    watch: (record, listener) => watched((tell) => idempotency.watch(record, tell), listener),
  };

  return {
    backend: {
      ...backend,
      leases: faulty,
      idempotency: records,
      [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
    },
    link: {
      cut: () => void (mode = "cut"),
      heal: async () => {
        mode = "pass";
        pushes = true;
        for (const act of held.splice(0)) await act();
        for (const tell of watchers) tell();
      },
      holdRequests: () => void (mode = "hold"),
      newConnectionsPass: () => void (mode = "pass"),
      deliverHeld: async () => {
        for (const act of held.splice(0)) await act();
      },
      loseReplyTo: (call) => new Promise<void>((resolve) => lost.set(call, resolve)),
      slow: (ms) => void (slowMs = ms),
      dropPushes: () => void (pushes = false),
    },
  };
}

function unknown(call: StoreCall): LeaseholdError {
  return new LeaseholdError("OUTCOME_UNKNOWN", `The ${call} was not answered in time.`);
}
