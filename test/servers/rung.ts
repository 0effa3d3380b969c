import { aptInstall, aptObstacle, aptPackage } from "./apt.ts";
import { dockerObstacle, messageOf } from "./docker-engine.ts";
import { findProgram, programVersion } from "./find-program.ts";
import type { Rung } from "./managed-server.ts";

/** One kind of server, as the ladder needs to know it. */
export interface ServerKind {
  /** As the run names it: "redis". */
  readonly name: string;
  readonly program: string;
  /** The environment variable with the address(es) of one that runs already. */
  readonly urlVariable: string;
  readonly image: string;
  /** The environment variable that names another image. */
  readonly imageVariable: string;
}

/** How to start one kind, by rung. */
export interface Starters<T> {
  urls(value: string): T | Promise<T>;
  docker(): Promise<T>;
  /** Also for rung "apt", once the program is installed. */
  path(rung: Rung): Promise<T>;
}

/** Takes one line about the servers, without a line end. */
export type ServerLog = (line: string) => void;

const rungs: readonly Rung[] = ["urls", "docker", "path", "apt"];
// In the environment, so that the processes of one run, test workers for one, look and say it once
// between them: "redis-server=path,etcd=docker".
const takenVariable = "LEASEHOLD_SERVERS_TAKEN";
// Docker failed to start a kind once: the next server of that kind does not try again.
const dockerFailures = new Map<string, string>();

/** Writes to standard error, so that a program's own output stays clean. */
export const logToStderr: ServerLog = (line) => console.error(`servers: ${line}`);

/**
 * Starts a server on the first rung that bears: addresses from the environment, Docker, the program
 * on PATH, apt. `LEASEHOLD_SERVERS` forces one. Says once per program and run which rung it is, and
 * why not a higher one; the rest of the run takes the same. Throws an error that says what to
 * install or set if there is none.
 */
export async function climb<T>(
  kind: ServerKind,
  starters: Starters<T>,
  options: { log?: ServerLog; env?: NodeJS.ProcessEnv } = {},
): Promise<T> {
  const { log = logToStderr, env = process.env } = options;
  const forced = forcedRung(env);
  const only = forced ?? takenRungs(env).get(keyOf(kind, env));
  const obstacles: string[] = [];
  for (const rung of only ? [only] : rungs) {
    const obstacle = await obstacleOn(rung, kind, env);
    if (obstacle !== undefined) {
      obstacles.push(`${rung}: ${obstacle}`);
      continue;
    }
    try {
      const server = await startOn(rung, kind, starters, { log, env });
      await announce(rung, kind, { log, env, obstacles });
      return server;
    } catch (error) {
      if (rung !== "docker" || only) throw error;
      const failure = `Docker did not start ${kind.image}: ${messageOf(error)}${ryukHint(env)}`;
      dockerFailures.set(kind.program, failure);
      obstacles.push(`docker: ${failure}`);
    }
  }
  throw new Error(noRung(kind, obstacles, forced));
}

function ryukHint(env: NodeJS.ProcessEnv): string {
  const disabled = env.TESTCONTAINERS_RYUK_DISABLED === "true";
  return disabled
    ? ""
    : " (Testcontainers first starts its own image Ryuk, unless TESTCONTAINERS_RYUK_DISABLED=true)";
}

function forcedRung(env: NodeJS.ProcessEnv): Rung | undefined {
  const forced = env.LEASEHOLD_SERVERS;
  if (!forced) return undefined;
  const rung = rungs.find((each) => each === forced);
  if (!rung)
    throw new Error(`LEASEHOLD_SERVERS is "${forced}"; set it to one of ${rungs.join(", ")}, or unset it`);
  return rung;
}

async function obstacleOn(rung: Rung, kind: ServerKind, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  switch (rung) {
    case "urls":
      return env[kind.urlVariable] ? undefined : `${kind.urlVariable} is not set`;
    case "docker":
      return dockerFailures.get(kind.program) ?? dockerObstacle(kind.image);
    case "path":
      return findProgram(kind.program) ? undefined : `${kind.program} is not on PATH`;
    case "apt":
      return aptObstacle();
  }
}

async function startOn<T>(
  rung: Rung,
  kind: ServerKind,
  starters: Starters<T>,
  { log, env }: { log: ServerLog; env: NodeJS.ProcessEnv },
): Promise<T> {
  switch (rung) {
    case "urls":
      return starters.urls(env[kind.urlVariable] ?? "");
    case "docker":
      return starters.docker();
    case "apt":
      if (!findProgram(kind.program))
        log(`installing ${aptPackage(kind.program)} with apt-get, which takes a while`);
      await aptInstall(kind.program);
      return starters.path(rung);
    case "path":
      return starters.path(rung);
  }
}

async function announce(
  rung: Rung,
  kind: ServerKind,
  { log, env, obstacles }: { log: ServerLog; env: NodeJS.ProcessEnv; obstacles: string[] },
): Promise<void> {
  const taken = takenRungs(env);
  const key = keyOf(kind, env);
  if (taken.has(key)) return;
  env[takenVariable] = [...taken.set(key, rung)].map((pair) => pair.join("=")).join(",");
  // Addresses that are not set are nobody's surprise; all else that was passed over is worth
  // saying.
  const why = obstacles.filter((obstacle) => !obstacle.startsWith("urls:")).join("; ");
  const how = await description(rung, kind, env);
  log(`${kind.name} by ${rung} (${why ? `${how}; not by ${why}` : how})`);
}

/** A Redis and a Redis Cluster are one program and one image; addresses are given for each. */
function keyOf(kind: ServerKind, env: NodeJS.ProcessEnv): string {
  return env[kind.urlVariable] ? kind.urlVariable : kind.program;
}

/** The rungs that this run has taken so far. */
function takenRungs(env: NodeJS.ProcessEnv): Map<string, Rung> {
  const pairs = (env[takenVariable] ?? "").split(",").map((pair) => pair.split("="));
  return new Map(
    pairs.flatMap(([name, taken]) => {
      const rung = rungs.find((each) => each === taken);
      return name !== undefined && rung !== undefined ? [[name, rung] as const] : [];
    }),
  );
}

async function description(rung: Rung, kind: ServerKind, env: NodeJS.ProcessEnv): Promise<string> {
  if (rung === "urls") return `${kind.urlVariable}=${hideSecrets(env[kind.urlVariable] ?? "")}`;
  if (rung === "docker") return `image ${kind.image}`;
  const path = findProgram(kind.program) ?? kind.program;
  return `${path} ${await programVersion(path)}`;
}

function hideSecrets(urls: string): string {
  return urls.replaceAll(/\/\/[^/@,]*@/g, "//***@");
}

function noRung(kind: ServerKind, obstacles: string[], forced: Rung | undefined): string {
  const asked = forced ? `LEASEHOLD_SERVERS=${forced} does not work here` : "no way to start one works here";
  return (
    `${kind.name} is needed, and ${asked} (${obstacles.join("; ")}). Do one of these: ` +
    `install ${kind.program} (Debian, Ubuntu: apt-get install ${aptPackage(kind.program)}); ` +
    `start Docker with access to the image ${kind.image} (another one: ${kind.imageVariable}); ` +
    `or set ${kind.urlVariable} to one that runs.`
  );
}
