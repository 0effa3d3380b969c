export { LateError, patienceMs } from "../servers/wait-until.ts";
export { checkUnstalled, expectWithin, unlessStalled } from "./bounds.ts";
export { beatHeart, type Stall } from "./heartbeat.ts";
export { beatServer } from "./server-beat.ts";
export { stalls } from "./stall-log.ts";
