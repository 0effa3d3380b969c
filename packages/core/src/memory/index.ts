export { memoryBackend } from "./backend.ts";
export type { MemoryBackendOptions } from "./backend.ts";
export { MemoryStore } from "./store.ts";
