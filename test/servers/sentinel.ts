import { writeFileSync } from "node:fs";
import { join } from "node:path";

import type { ServerRecipe } from "./managed-server.ts";
import { answersPing, redisKind } from "./redis.ts";

/**
 * A Sentinel that names this master, and never another: it takes a minute to doubt it. For tests of
 * how a master is found. It keeps what it knows in a file, so it runs as a process only.
 */
export function steadySentinelRecipe(
  port: number,
  master: { readonly name: string; readonly port: number },
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
        `sentinel monitor ${master.name} 127.0.0.1 ${master.port} 1`,
        `sentinel down-after-milliseconds ${master.name} 60000`,
      ];
      writeFileSync(file, lines.join("\n"));
      return [file, "--sentinel"];
    },
    isReady: answersPing,
  };
}
