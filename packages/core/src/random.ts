import { randomBytes } from "node:crypto";

/** The only door to chance. */
export interface Random {
  /** `count` random bytes, as lower-case hexadecimal. Owners are drawn from here: unguessable in production. */
  hex(count: number): string;
  /** Uniform in [0, 1). For jitter. */
  fraction(): number;
}

/** The system's generators. */
export const systemRandom: Random = {
  hex: (count) => randomBytes(count).toString("hex"),
  fraction: () => Math.random(),
};

/**
 * Rule R1: an owner is 128 random bits, drawn for one acquire call and never used again. A reused owner (a host name, say)
 * lets the reply to an abandoned call reach a later one, which then believes in a claim that the store has removed.
 */
export function drawOwner(random: Random): string {
  return random.hex(16);
}
