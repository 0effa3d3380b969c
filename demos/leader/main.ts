import { runDemo } from "../shared/run-demo.ts";
import { scenario } from "./scenario.ts";

await runDemo({
  name: "leader",
  about: `Three candidates stand for election. The leader is killed, and the next one takes over;
then that one resigns, and hands over.`,
  onBackends: `where the election lives. memory: three candidates in one process, the kill simulated.
             redis, etcd: three processes, one of them really SIGKILLed.`,
  fails: "a term did not grow, two led at once, or a takeover took too long",
  withinMs: 30_000,
  scenario,
});
