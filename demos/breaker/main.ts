import { runDemo } from "../shared/run-demo.ts";
import { scenario } from "./scenario.ts";

await runDemo({
  name: "breaker",
  about: `Five nodes call one dependency, through a circuit breaker that they share. One node loses it, and goes without;
then all lose it: they vote, the circuit opens for everybody, one node at a time probes, and it closes for everybody.`,
  onBackends: `where the votes live. memory: five coordinators in one process. redis, etcd: five processes.`,
  fails: `one node opened the circuit, the fleet did not open or close in time, anything but a probe was sent
while it was open, or more than one probe ran at once`,
  withinMs: 40_000,
  scenario,
});
