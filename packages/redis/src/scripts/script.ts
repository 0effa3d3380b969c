import { createHash } from "node:crypto";
import type { ScriptClient } from "../client/client.ts";
import { acquire } from "./acquire.ts";
import { begin } from "./begin.ts";
import { evict } from "./evict.ts";
import { extend } from "./extend.ts";
import { finish } from "./finish.ts";
import { inspect } from "./inspect.ts";
import { propose } from "./propose.ts";
import { release } from "./release.ts";
import { renew } from "./renew.ts";

/** A Lua script of constant text. */
export interface Script {
  readonly text: string;
  readonly sha: string;
}

export function makeScript(text: string): Script {
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

type ScriptName =
  "acquire" | "renew" | "release" | "propose" | "evict" | "inspect" | "begin" | "extend" | "finish";

/** All scripts of the two stores. The set is closed: an access list or a proxy may name their hashes. */
export const scripts: Readonly<Record<ScriptName, Script>> = {
  acquire: makeScript(acquire),
  renew: makeScript(renew),
  release: makeScript(release),
  propose: makeScript(propose),
  evict: makeScript(evict),
  inspect: makeScript(inspect),
  begin: makeScript(begin),
  extend: makeScript(extend),
  finish: makeScript(finish),
};

/**
 * The one door through which scripts reach the server. A server that does not know the script (restarted, flushed, failed
 * over) has executed nothing, so it is sent again with its text.
 */
export function runScript(
  client: ScriptClient,
  script: Script,
  keys: readonly string[],
  args: readonly string[],
): Promise<unknown> {
  return client.evalsha(script.sha, keys.length, ...keys, ...args).catch((error: unknown) => {
    if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
    return client.eval(script.text, keys.length, ...keys, ...args);
  });
}
