export { idempotencyKey } from "./idempotency-key.ts";
export type { FetchHandler } from "./idempotency-key.ts";
export type { IdempotencyKeyOptions } from "./options.ts";
export type { HttpEvent, HttpEventListener } from "./events.ts";
export type { ProblemName } from "./problem.ts";
export type { Unkept } from "./outgoing.ts";
