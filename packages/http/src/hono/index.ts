export { idempotencyKey } from "./idempotency-key.ts";
export type { IdempotencyVariables } from "./idempotency-key.ts";
export type { IdempotencyKeyOptions } from "../options.ts";
export type { HttpEvent, HttpEventListener } from "../events.ts";
