import { spawnSync } from "node:child_process";
import type { ContainerRuntimeClient, GenericContainer } from "testcontainers";
import { killOnExit } from "./kill-on-exit.ts";

/** A container by its Docker API. */
export type Container = ReturnType<ContainerRuntimeClient["container"]["getById"]>;

/** What to run in a container, and when it counts as started. */
export interface ContainerRecipe {
  image: string;
  command: string[];
  /** Published on 127.0.0.1 under the same numbers. */
  ports?: number[];
  /** The container whose network it shares. */
  networkOf?: Container;
  waitUntilReady: (container: Container) => Promise<void>;
}

const pullWithinMs = 180_000;
const imageObstacles = new Map<string, Promise<string | undefined>>();

/**
 * Why this image cannot be run by Docker here, or undefined if it can; pulls it if need be. Asked
 * once per image.
 */
export function dockerObstacle(image: string): Promise<string | undefined> {
  const known = imageObstacles.get(image) ?? findObstacle(image);
  imageObstacles.set(image, known);
  return known;
}

async function findObstacle(image: string): Promise<string | undefined> {
  const { getContainerRuntimeClient, ImageName } = await import("testcontainers");
  let client: ContainerRuntimeClient;
  try {
    client = await getContainerRuntimeClient();
  } catch {
    return "Docker is not reachable";
  }
  const { host } = client.info.containerRuntime;
  if (host !== "localhost" && host !== "127.0.0.1") return `Docker is at ${host}, and not on this machine`;
  try {
    await within(pullWithinMs, client.image.pull(ImageName.fromString(image)));
    return undefined;
  } catch (error) {
    return `image ${image} is not there and cannot be pulled: ${messageOf(error)}`;
  }
}

/** Starts a container; returns when it is ready. It is removed when this process exits. */
export async function runContainer(
  recipe: ContainerRecipe,
): Promise<{ container: Container; remove(): Promise<void> }> {
  const { GenericContainer: Base, getContainerRuntimeClient } = await import("testcontainers");
  const client = await getContainerRuntimeClient();
  let created: Container | undefined;
  let callOff = (): void => {};
  class LoopbackContainer extends Base {
    protected override async beforeContainerCreated(): Promise<void> {
      // Testcontainers publishes on all interfaces, and these servers let everybody in.
      const published = Object.values(this.hostConfig.PortBindings ?? {}) as { HostIp?: string }[][];
      for (const binding of published.flat()) binding.HostIp = "127.0.0.1";
    }

    // From here on and not from when it is ready: what is interrupted while it starts must not stay
    // either.
    protected override async containerCreated(id: string): Promise<void> {
      callOff = killOnExit(() =>
        spawnSync("docker", ["rm", "--force", "--volumes", id], { stdio: "ignore" }),
      );
      created = client.container.getById(id);
    }
  }
  const remove = async (): Promise<void> => {
    await created?.remove({ force: true, v: true });
    callOff();
  };
  const definition = new LoopbackContainer(recipe.image)
    .withCommand(recipe.command)
    .withExposedPorts(...(recipe.ports ?? []).map((port) => ({ container: port, host: port })))
    .withWaitStrategy(readyWhen((container) => withLastWords(container, recipe.waitUntilReady(container))));
  if (recipe.networkOf) definition.withNetworkMode(`container:${recipe.networkOf.id}`);
  try {
    const started = await definition.start();
    return { container: client.container.getById(started.getId()), remove };
  } catch (error) {
    // Testcontainers removes one that did not become ready, and leaves one that could not even be
    // started.
    await remove().catch(callOff);
    throw error;
  }
}

type WaitStrategy = Parameters<GenericContainer["withWaitStrategy"]>[0];

function readyWhen(waitUntilReady: (container: Container) => Promise<void>): WaitStrategy {
  const strategy: WaitStrategy = {
    waitUntilReady,
    withStartupTimeout: () => strategy,
    isStartupTimeoutSet: () => true,
    getStartupTimeout: () => 0,
  };
  return strategy;
}

async function withLastWords(container: Container, starting: Promise<void>): Promise<void> {
  try {
    await starting;
  } catch (error) {
    const log = await container.logs({ stdout: true, stderr: true, tail: 3 });
    // Docker puts eight bytes before each line, to say which stream it is of.
    const words = log
      .toString()
      .replaceAll(/[^\x20-\x7e]+/g, " ")
      .trim();
    throw new Error(`${messageOf(error)} (its last words: ${words})`, { cause: error });
  }
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`not within ${ms / 1000} s`)), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** The first line of an error, for a line that says why. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.trim().split("\n")[0] ?? "";
}
