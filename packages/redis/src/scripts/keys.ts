import { encodeName } from "@leasehold/core";

/** The keys of one resource. All carry the same hash tag, so that in a Cluster they lie in one slot. */
export interface ResourceKeys {
  readonly base: string;
  readonly line: string;
  readonly expiry: string;
  /** Not a key: the channel on which changes are announced. In a Cluster what is published on one node is heard on all. */
  readonly changes: string;
}

/**
 * A tag of its own for the empty name: Redis takes an empty tag for none, and would spread the keys over several slots. No
 * other name is encoded like this, since every `%` is followed by four digits.
 */
const EMPTY = "%";

/** The keys of resources under `prefix`, with a small memory: a busy service asks for the same ones again and again. */
export function resourceKeysUnder(prefix: string): (resource: string) => ResourceKeys {
  const known = new Map<string, ResourceKeys>();
  return (resource) => {
    let keys = known.get(resource);
    if (keys === undefined) {
      keys = resourceKeys(prefix, resource);
      if (known.size >= 1_000) known.clear();
      known.set(resource, keys);
    }
    return keys;
  };
}

export function resourceKeys(prefix: string, resource: string): ResourceKeys {
  const name = encodeName(resource) || EMPTY;
  const base = `${encodeName(prefix)}:{${name}}`;
  return {
    base,
    line: `${base}:line`,
    expiry: `${base}:expiry`,
    changes: `${encodeName(prefix)}:changes:${name}`,
  };
}

/** The one key of an idempotency record, and the channel on which its end is announced. */
export interface RecordKeys {
  readonly hash: string;
  readonly changes: string;
}

/**
 * No key of a resource ends like this one, and no channel of a resource has a brace: a record and a resource of one name
 * never meet, whatever other prefixes there are.
 */
export function recordKeys(prefix: string, record: string): RecordKeys {
  const name = encodeName(record) || EMPTY;
  return {
    hash: `${encodeName(prefix)}:{${name}}:idem`,
    changes: `${encodeName(prefix)}:changes:{${name}}`,
  };
}

/** The key that refuses an owner whose call was given up (rule R7). */
export function markKey(keys: ResourceKeys, owner: string): string {
  return `${keys.base}:gone:${owner}`;
}

/** A ticket as the scripts write it. */
export function ticketDigits(ticket: bigint): string {
  return String(ticket).padStart(16, "0");
}

/** The channel to which grants of this process's waiting claims are published. */
export function inboxChannel(prefix: string, process: string): string {
  return `${encodeName(prefix)}:inbox:${process}`;
}

/** The resource whose hash has this key, whatever stands before the tag; undefined if it is no such key. */
export function resourceOf(base: string): string | undefined {
  const name = /\{([A-Za-z0-9._:%-]+)\}$/.exec(base)?.[1];
  if (name === undefined) return undefined;
  if (name === EMPTY) return "";
  const resource = name.replace(/%([0-9a-f]{4})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  return encodeName(resource) === name ? resource : undefined;
}
