import { afterAll } from "vitest";

import { freePort } from "./free-port.ts";
import { ExternalServer } from "./external-server.ts";
import type { ManagedServer } from "./managed-server.ts";
import { addressOf, redisKind, redisRecipe, urlOf } from "./redis.ts";
import { climb, type ServerKind } from "./rung.ts";
import { ServerGroup } from "./server-group.ts";
import { startMemberContainers, startMemberProcesses } from "./start-members.ts";

/** A master and its one replica. */
export interface ReplicatedRedis {
  readonly master: ManagedServer & { readonly url: string };
  readonly replica: ManagedServer & { readonly url: string };
  readonly canSabotage: boolean;
}

const replicatedKind = (): ServerKind => ({
  ...redisKind(),
  name: "replicated redis",
  urlVariable: "LEASEHOLD_REDIS_REPLICATED_URL",
});

/**
 * A Redis with a replica for the test file that calls this at its top level, stopped after the
 * file's last test. The replica may not be connected yet. `args`: more arguments for both.
 */
export async function replicatedRedisForThisFile(args: string[] = []): Promise<ReplicatedRedis> {
  const [masterPort, replicaPort] = await Promise.all([freePort(), freePort()]);
  const recipes = [
    redisRecipe(masterPort, { args: [...quick, ...args] }),
    redisRecipe(replicaPort, { args: [...quick, ...args, "--replicaof", "127.0.0.1", String(masterPort)] }),
  ];
  const group = await climb(replicatedKind(), {
    urls: (urls) => new ServerGroup(urls.split(",").map((url) => new ExternalServer(addressOf(url)))),
    docker: () => startMemberContainers(recipes),
    path: (rung) => startMemberProcesses(recipes, rung),
  });
  afterAll(() => group.stop());
  const [master, replica] = group.members.map((member) =>
    Object.assign(member, { url: urlOf(member.address) }),
  );
  if (!master || !replica) throw new Error("a replicated Redis has a master and a replica");
  return { master, replica, canSabotage: group.canSabotage };
}

/** The first synchronisation begins at once. */
const quick = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
