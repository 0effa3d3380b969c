import type { ShapedResource } from "@leasehold/core";

/** A lock's resource, by the name that the store knows it under. */
export function lockResource(name: string): ShapedResource {
  return { name, capacity: 1, announce: false };
}
