import { systemClock } from "@leasehold/core";
import type { MemberSpec, Program } from "./member.ts";
import { coordinatorAt } from "./store.ts";

// The whole of a member's process. process-member.ts starts it; the argument is what it needs.
const { file, spec } = JSON.parse(process.argv[2] ?? "") as { file: string; spec: MemberSpec<unknown> };
// Without its parent nobody would ever end it.
process.on("disconnect", () => process.exit(1));

const program = ((await import(file)) as { default: Program<unknown, unknown, unknown> }).default;
const coordinator = await coordinatorAt(spec.address, spec);
await program.main({
  ...spec,
  coordinator,
  clock: systemClock,
  tell: (message) => void process.send?.(message),
  listen: (hear) => process.on("message", hear),
  killed: new AbortController().signal,
});
await coordinator.close();
process.removeAllListeners("disconnect");
process.disconnect();
