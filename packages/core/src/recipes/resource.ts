import type { Resource } from "../contract/lease-store.ts";

/** The recipes, as `inspect` and `evict` know them. Each has names of its own. */
export type Recipe = "lock" | "semaphore" | "readWriteLock" | "election" | "membership";

/** Whether changes are announced to observers: only where somebody can observe. */
const announced = {
  lock: false,
  semaphore: false,
  readWriteLock: false,
  election: true,
  membership: true,
} as const satisfies Record<Recipe, boolean>;

export const recipes: readonly Recipe[] = Object.keys(announced) as Recipe[];

/**
 * The resource under a recipe's name, as the store knows it. Recipes live in names of their own:
 * `lock:x` is not `semaphore:x`.
 */
export function resourceOf(namespace: string, recipe: Recipe, name: string): Resource {
  return { name: `${namespace}:${recipe}:${name}`, announce: announced[recipe] };
}
