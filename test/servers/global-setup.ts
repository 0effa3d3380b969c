import { startEtcd } from "./etcd.ts";
import { startRedis } from "./redis.ts";

/**
 * Finds the rung of each kind of server once for the whole run, by starting one, and says it: the
 * workers inherit what was found, and none of them asks Docker for images again. Each test file
 * then starts its own servers.
 */
export default async function setup(): Promise<void> {
  const lines: string[] = [];
  const log = (line: string): number => lines.push(line);
  const trials = await Promise.allSettled([startRedis({ log }), startEtcd({ log })]);
  for (const trial of trials) if (trial.status === "fulfilled") await trial.value.stop();
  for (const trial of trials) if (trial.status === "rejected") throw trial.reason;
  console.log(`servers: ${lines.join("; ")}`);
}
