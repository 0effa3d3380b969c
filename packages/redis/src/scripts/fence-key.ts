import { encodeName, invalidArgument } from "@leasehold/core";

/**
 * The key of a resource's fence: `<prefix>:fence:<resource>`, encoded but for a hash tag.
 *
 * In a Cluster, a script's keys must lie in one slot, so the fence must lie with the data that it guards. Redis takes what
 * stands between the first `{` and the next `}`, if it is not empty, for the slot; exactly that is kept as it is, braces and
 * all: the fence of `account:{42}` lies with `balance:{42}`. The rest is encoded, which leaves no brace, so that two names
 * never share a fence.
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
