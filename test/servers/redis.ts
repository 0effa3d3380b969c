import { connect } from "node:net";
import { ExternalServer } from "./external-server.ts";
import { freePort } from "./free-port.ts";
import type { Address, ManagedServer, ServerRecipe } from "./managed-server.ts";
import { climb, type ServerKind, type ServerLog } from "./rung.ts";
import { ServerContainer } from "./server-container.ts";
import { ServerProcess } from "./server-process.ts";

export interface RedisServer extends ManagedServer {
  /** `redis://host:port`. */
  readonly url: string;
}

export interface RedisOptions {
  /**
   * What survives `kill`: nothing, or every write that was answered (an append-only file, written
   * through at each write). Default "none".
   */
  persistence?: "none" | "aof";
  /** More arguments for redis-server. */
  args?: string[];
  /** Gets the line that says which rung was taken. Default: standard error. */
  log?: ServerLog;
}

/**
 * What the ladder knows of Redis. `LEASEHOLD_REDIS_IMAGE` names another image, which must have
 * redis-server.
 */
export function redisKind(): ServerKind {
  return {
    name: "redis",
    program: "redis-server",
    urlVariable: "LEASEHOLD_REDIS_URL",
    image: process.env.LEASEHOLD_REDIS_IMAGE || "redis:7.4-alpine",
    imageVariable: "LEASEHOLD_REDIS_IMAGE",
  };
}

/**
 * Starts a Redis of its own for the caller; on rung "urls" it is the one of `LEASEHOLD_REDIS_URL`.
 */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const recipe = redisRecipe(await freePort(), options);
  const server = await climb<ManagedServer & { url?: string }>(
    redisKind(),
    {
      urls: (url) => Object.assign(new ExternalServer(addressOf(url)), { url }),
      docker: () => ServerContainer.start(recipe),
      path: (rung) => ServerProcess.start(recipe, rung),
    },
    { log: options.log },
  );
  return Object.assign(server, { url: server.url ?? urlOf(server.address) });
}

/** How a redis-server is started at this port. */
export function redisRecipe(port: number, options: RedisOptions = {}): ServerRecipe {
  const { persistence = "none", args = [] } = options;
  const persist =
    persistence === "aof" ? ["--appendonly", "yes", "--appendfsync", "always"] : ["--appendonly", "no"];
  return {
    program: "redis-server",
    image: redisKind().image,
    port,
    args: ({ bindHost, dataDir }) => [
      ...[
        "--port",
        String(port),
        "--bind",
        bindHost,
        "--protected-mode",
        "no",
        "--dir",
        dataDir,
        "--save",
        "",
      ],
      ...persist,
      ...args,
    ],
    isReady: answersPing,
  };
}

export function urlOf({ host, port }: Address): string {
  return `redis://${host}:${port}`;
}

/** The host and port of a URL. */
export function addressOf(url: string, defaultPort = 6379): Address {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port || defaultPort) };
}

/** Whether a Redis answers at this address now. Does not throw. */
export function answersPing(address: Address): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(address);
  socket.setTimeout(1000, () => socket.destroy());
  socket.once("connect", () => socket.write("PING\r\n"));
  socket.once("data", (reply: Buffer) => {
    resolve(reply.toString().startsWith("+PONG"));
    socket.destroy();
  });
  socket.once("error", () => {});
  socket.once("close", () => resolve(false));
  return promise;
}
