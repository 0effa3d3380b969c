import type { ManagedServer, Rung, ServerRecipe } from "./managed-server.ts";
import { startPod } from "./pod.ts";
import { ServerContainer } from "./server-container.ts";
import { ServerGroup } from "./server-group.ts";
import { ServerProcess } from "./server-process.ts";

type Hooks = { afterStart?: () => Promise<void> };

/** Starts one process for each recipe, all at once. */
export async function startMemberProcesses(
  recipes: ServerRecipe[],
  rung: Rung,
  hooks: Hooks = {},
): Promise<ServerGroup> {
  return grouped(await allOrNone(recipes.map((recipe) => ServerProcess.start(recipe, rung))), hooks);
}

/** Starts one container for each recipe, all at once, in one network. */
export async function startMemberContainers(
  recipes: ServerRecipe[],
  hooks: Hooks = {},
): Promise<ServerGroup> {
  const pod = await startPod(recipes.map(({ port }) => port));
  try {
    const starts = recipes.map((recipe) => ServerContainer.start(recipe, { networkOf: pod.container }));
    return await grouped(await allOrNone(starts), { ...hooks, afterStop: () => pod.remove() });
  } catch (error) {
    await pod.remove();
    throw error;
  }
}

async function allOrNone(starts: Promise<ManagedServer>[]): Promise<ManagedServer[]> {
  const outcomes = await Promise.allSettled(starts);
  const started = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (!failed) return started;
  await Promise.all(started.map((server) => server.stop()));
  throw failed.reason;
}

async function grouped(
  members: ManagedServer[],
  hooks: Hooks & { afterStop?: () => Promise<void> },
): Promise<ServerGroup> {
  try {
    await hooks.afterStart?.();
  } catch (error) {
    await Promise.all(members.map((member) => member.stop()));
    throw error;
  }
  return new ServerGroup(members, hooks);
}
