import { createCoordinator, type ExecutionContext } from "@leasehold/core";

import { FencedClient } from "./fenced-client.ts";
import { openBackend, type StoreSpec } from "./store-spec.ts";
import { codeOf, nextCommand, reportTroubles, say, workerArgs } from "./worker-io.ts";

export interface IdempotencyWorkerArgs {
  readonly store: StoreSpec;
  readonly namespace: string;
  readonly leaseMs: number;
  /** Of the `FencedResource`. */
  readonly port: number;
}

/** What the test asks for: so many calls at once under one key. */
export interface Calls {
  readonly key: string;
  readonly count?: number;
  readonly conflict?: "reject" | "wait";
  readonly onExpired?: "retry" | "fail";
  /** What the handler returns. */
  readonly value: string;
  /** The handler waits for a command `go` before it ends, and ends so. */
  readonly end?: "completes" | "fails" | "releases";
}

// Makes calls under idempotency keys, each handler writing once to a guarded resource: see
// idempotency.test.ts.
reportTroubles();
const { store, namespace, leaseMs, port } = workerArgs<IdempotencyWorkerArgs>();
const coordinator = createCoordinator({ backend: await openBackend(store), namespace, ttlMs: leaseMs });
const resource = new FencedClient(port);

async function handle({ value, end }: Calls, context: ExecutionContext): Promise<string> {
  const { attempt, fencingToken: token, downstreamKey, signal } = context;
  signal.addEventListener("abort", () => say("aborted", { code: codeOf(signal.reason) }), { once: true });
  await resource.write(token, attempt);
  say("executing", { attempt, token, downstreamKey });
  if (end === undefined) return value;
  await nextCommand();
  if (end === "fails") throw new Error("declined");
  if (end === "releases") throw new TypeError("nothing happened");
  return value;
}

async function call(calls: Calls): Promise<void> {
  const { conflict = "reject", onExpired = "retry" } = calls;
  const charges = coordinator.idempotency("charges", {
    ...{ leaseMs, conflict, onExpired, waitMs: 30_000 },
    classifyError: (error) => (error instanceof TypeError ? "released" : "stored"),
  });
  try {
    const { value, replayed, record, attempt } = await charges.run(
      calls.key,
      { fingerprint: "one" },
      (context) => handle(calls, context),
    );
    say("ended", { value, replayed, record, attempt });
  } catch (error) {
    say("ended", { code: codeOf(error), message: error instanceof Error ? error.message : "" });
  }
}

say("ready");
for (;;) {
  const command = await nextCommand<Calls | "stop">();
  if (command === "stop") break;
  await Promise.all(Array.from({ length: command.count ?? 1 }, () => call(command)));
  say("done");
}
resource.close();
await coordinator.close();
