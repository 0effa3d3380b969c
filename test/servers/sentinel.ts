import { writeFileSync } from "node:fs";
import { join } from "node:path";

import type { ServerRecipe } from "./managed-server.ts";
import { answersPing, redisKind } from "./redis.ts";

export interface WatchedMaster {
  /** As Sentinel is to call it. */
  readonly name: string;
  readonly port: number;
  /** How long it may be silent until it is down, in milliseconds. Default a minute: never. */
  readonly downAfterMs?: number;
}

/**
 * A Sentinel that alone decides on a failover. It keeps what it knows in a file of its own, so it
 * runs as a process only.
 */
export function sentinelRecipe(
  port: number,
  { name, port: masterPort, downAfterMs = 60_000 }: WatchedMaster,
): ServerRecipe {
  return {
    program: "redis-server",
    image: redisKind().image,
    port,
    args: ({ bindHost, dataDir }) => {
      const file = join(dataDir, "sentinel.conf");
      const lines = [
        `port ${port}`,
        `bind ${bindHost}`,
        `dir ${dataDir}`,
        `sentinel monitor ${name} 127.0.0.1 ${masterPort} 1`,
        `sentinel down-after-milliseconds ${name} ${downAfterMs}`,
        `sentinel failover-timeout ${name} 5000`,
      ];
      writeFileSync(file, lines.join("\n"));
      return [file, "--sentinel"];
    },
    isReady: answersPing,
  };
}
