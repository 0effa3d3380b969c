import { encodeName, invalidArgument } from "@leasehold/core";

/**
 * The keys of one resource. All carry the same hash tag, so that a Cluster has them in one slot.
 */
export interface ResourceKeys {
  /** The hash. */
  readonly base: string;
  /** The owners, by ticket. */
  readonly line: string;
  /** The owners, by the time when their claims die. */
  readonly expiry: string;
  /** The three of them, in the order in which scripts take them. */
  readonly all: readonly string[];
  /** No key: the channel on which changes are announced. All nodes of a Cluster hear it. */
  readonly changes: string;
}

/**
 * The hash tag of the empty name. Redis takes an empty tag for none, and would spread the keys over
 * several slots. No other name is encoded like this, since four digits follow every `%`.
 */
const EMPTY = "%";

/**
 * The keys of resources under `prefix`. They are remembered for the last 1,000 names: a busy
 * service asks for the same ones again and again.
 */
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
  const line = `${base}:line`;
  const expiry = `${base}:expiry`;
  return {
    ...{ base, line, expiry, all: [base, line, expiry] },
    changes: `${encodeName(prefix)}:changes:${name}`,
  };
}

/** The one key of an idempotency record, and the channel on which its end is announced. */
export interface RecordKeys {
  readonly hash: string;
  readonly changes: string;
}

/**
 * A record and a resource of one name never meet, whatever other prefixes there are: no key of a
 * resource ends like this one, and no channel of a resource has a brace.
 */
export function recordKeys(prefix: string, record: string): RecordKeys {
  const name = encodeName(record) || EMPTY;
  return {
    hash: `${encodeName(prefix)}:{${name}}:idem`,
    changes: `${encodeName(prefix)}:changes:{${name}}`,
  };
}

/** A ticket as the scripts write it. */
export function ticketDigits(ticket: bigint): string {
  return String(ticket).padStart(16, "0");
}

/** The channel to which grants of this process's waiting claims are published. */
export function inboxChannel(prefix: string, process: string): string {
  return `${encodeName(prefix)}:inbox:${process}`;
}

/**
 * The resource whose hash has this key, whatever stands before the tag. Undefined if it is no such
 * key.
 */
export function resourceOf(base: string): string | undefined {
  const name = /\{([A-Za-z0-9._:%-]+)\}$/.exec(base)?.[1];
  if (name === undefined) return undefined;
  if (name === EMPTY) return "";
  const resource = name.replace(/%([0-9a-f]{4})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  return encodeName(resource) === name ? resource : undefined;
}

/**
 * The key of a resource's fence: `<prefix>:fence:<resource>`, encoded except for a hash tag.
 *
 * In a Cluster a script's keys must lie in one slot, so the fence must lie with the data that it
 * guards. Redis takes for the slot what stands between the first `{` and the next `}`, if that is
 * not empty. Exactly that is kept as it is, braces and all: the fence of `account:{42}` lies with
 * `balance:{42}`. The rest is encoded, which leaves no brace, so two names never share a fence.
 *
 * @throws `INVALID_ARGUMENT` for a tag with a lone surrogate, which Redis could not tell from
 * others.
 */
export function fenceKey(prefix: string, resource: string): string {
  const [, before = "", tag = "", after = ""] = /^([^{]*)\{([^}]+)\}(.*)$/s.exec(resource) ?? [];
  if (tag === "") return `${encodeName(prefix)}:fence:${encodeName(resource)}`;
  if (!tag.isWellFormed())
    throw invalidArgument(
      "The {tag} of resource is no well-formed text: Redis could not tell it from others.",
    );
  return `${encodeName(prefix)}:fence:${encodeName(before)}{${tag}}${encodeName(after)}`;
}
