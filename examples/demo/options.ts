import { parseArgs } from "node:util";

export const backends = ["memory", "redis", "etcd"] as const;
export type BackendName = (typeof backends)[number];

export interface DemoOptions {
  readonly backend: BackendName;
  readonly url?: string;
  readonly help: boolean;
}

export const usage = `Six workers withdraw from one account, behind a fencing guard. One is killed, one freezes past its lease and then writes.

  ./pnpmw demo [--backend memory|redis|etcd] [--url URL]

  --backend  where the lock and the account live. memory (the default): all in this process, kill and freeze simulated.
             redis, etcd: six worker processes, really SIGKILLed and SIGSTOPped.
  --url      a server of yours: redis://host:port, or http://host:port[,http://…] of an etcd. Default: one is started,
             the way the tests do, and stopped again.
  --help     this text

Exits with 1 when the balance is wrong, a token did not increase, or the stale write was not refused.`;

/** A command line that cannot be understood: exit code 2. */
export class UsageError extends Error {}

/** Reads the command line. Throws a `UsageError` that says what may be given. */
export function readOptions(args: readonly string[]): DemoOptions {
  const { backend, url, help } = parse(args);
  const known = backends.find((each) => each === backend);
  if (known === undefined) throw new UsageError(`--backend may be ${backends.join(", ")}; got "${backend}".`);
  if (url !== undefined && known === "memory")
    throw new UsageError("--url needs --backend redis or --backend etcd.");
  const schemes = known === "redis" ? ["redis:", "rediss:"] : ["http:", "https:"];
  for (const each of url?.split(",") ?? [])
    if (!URL.canParse(each) || !schemes.includes(new URL(each).protocol))
      throw new UsageError(`--url must begin with ${schemes.join("// or ")}// for --backend ${known}.`);
  return { backend: known, url, help };
}

function parse(args: readonly string[]): { backend: string; url?: string; help: boolean } {
  const options = {
    backend: { type: "string", default: "memory" },
    url: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  } as const;
  try {
    return parseArgs({ args: [...args], options, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
