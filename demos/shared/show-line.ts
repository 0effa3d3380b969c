import type { Inspection } from "@leasehold/core";
import type { Run } from "./run.ts";

/** Says who waits, by the store's word, once so many do. Each has its name in its metadata. */
export async function showLine(run: Run, look: () => Promise<Inspection>, count = 0): Promise<void> {
  let { line } = await look();
  while (line.length < count) {
    await run.sleep(10);
    ({ line } = await look());
  }
  const names = line.map(({ origin }) => origin?.metadata["name"] ?? "somebody");
  const verb = names.length === 1 ? "waits" : "wait in this order";
  run.timeline.say("line", `${names.join(", ")} ${verb}`, { style: "cyan" });
}
