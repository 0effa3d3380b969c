import { parseArgs } from "node:util";

export const backends = ["memory", "redis", "etcd"] as const;
export type BackendName = (typeof backends)[number];

export interface DemoOptions {
  readonly backend: BackendName;
  readonly url?: string;
  readonly help: boolean;
}

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
