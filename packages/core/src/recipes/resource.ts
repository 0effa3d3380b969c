import type { Resource } from "../contract/lease-store.ts";

/** The recipes, as `inspect` and `evict` name them. */
export type Recipe = "lock" | "semaphore" | "readWriteLock" | "election" | "membership";

/** Whether changes are announced: only where somebody can observe. */
const announced = {
  lock: false,
  semaphore: false,
  readWriteLock: false,
  election: true,
  membership: true,
} as const satisfies Record<Recipe, boolean>;

export const recipes: readonly Recipe[] = Object.keys(announced) as Recipe[];

/**
 * The resource of a recipe and a name, as the store knows it. Each recipe has names of its own:
 * `lock:x` is not `semaphore:x`.
 */
export function resourceOf(namespace: string, recipe: Recipe, name: string): Resource {
  return { name: `${namespace}:${recipe}:${name}`, announce: announced[recipe] };
}
