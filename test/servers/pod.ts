import { runContainer, type Container } from "./docker-engine.ts";
import { redisKind } from "./redis.ts";

/** A container that does nothing but own a network, in which others run. */
export interface Pod {
  readonly container: Container;
  remove(): Promise<void>;
}

/**
 * Starts a pod that publishes these ports on 127.0.0.1. The servers in it have the same addresses
 * for each other as for us, and each can still be paused, killed and started by itself. It sleeps
 * in the Redis image, whatever runs in it: etcd's public image has no program that sleeps.
 */
export function startPod(ports: number[]): Promise<Pod> {
  return runContainer({
    image: redisKind().image,
    command: ["sleep", "86400"],
    ports,
    waitUntilReady: async () => {},
  });
}
