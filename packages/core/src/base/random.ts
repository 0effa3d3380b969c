import { randomFillSync } from "node:crypto";

/** The only door to chance. */
export interface Random {
  /** `count` random bytes, as lower-case hexadecimal. Owners are drawn from here: unguessable in production. */
  hex(count: number): string;
  /** Uniform in [0, 1). For jitter. */
  fraction(): number;
}

/** Bytes are drawn in advance: a call into the generator for each owner cost a seventh of an uncontended lock's time. */
const pool = Buffer.alloc(4_096);
let used = pool.length;

/** The system's generators. */
export const systemRandom: Random = {
  hex: (count) => {
    if (count > pool.length) return randomFillSync(Buffer.alloc(count)).toString("hex");
    if (used + count > pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    const digits = pool.toString("hex", used, used + count);
    // Never handed out twice, and not to be read from memory later.
    pool.fill(0, used, used + count);
    used += count;
    return digits;
  },
  // From the same pool: one source, and jitter is drawn too seldom for its cost to matter.
  fraction: () => Number.parseInt(systemRandom.hex(6), 16) / 2 ** 48,
};

/**
 * Rule R1: an owner is 128 random bits, drawn for one acquire call and never used again. A reused owner (a host name, say)
 * lets the reply to an abandoned call reach a later one, which then believes in a claim that the store has removed.
 */
export function drawOwner(random: Random): string {
  return random.hex(16);
}
