import { createHash } from "node:crypto";
import type { IdempotencyStore, LeaseStore } from "@leasehold/core";
import { acquire } from "./acquire.ts";
import { begin } from "./begin.ts";
import { evict } from "./evict.ts";
import { extend } from "./extend.ts";
import { finish } from "./finish.ts";
import { inspect } from "./inspect.ts";
import { look } from "./look.ts";
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

/** The calls of the contract that are a step on the server. Each has a script of its own. */
type Step = Exclude<keyof LeaseStore | keyof IdempotencyStore, "onGrant" | "watch" | "maxBodyBytes">;

/**
 * All scripts of the two stores. The set is closed: an access list or a proxy may name their
 * hashes.
 */
export const scripts: Readonly<Record<Step, Script>> = {
  acquire: makeScript(acquire),
  renew: makeScript(renew),
  release: makeScript(release),
  propose: makeScript(propose),
  evict: makeScript(evict),
  inspect: makeScript(inspect),
  look: makeScript(look),
  begin: makeScript(begin),
  extend: makeScript(extend),
  finish: makeScript(finish),
};
