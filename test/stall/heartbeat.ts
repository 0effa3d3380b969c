/** A time in which the machine gave a process no turn. */
export interface Stall {
  readonly fromNs: bigint;
  /** On `process.hrtime.bigint()`, which all processes of a machine share. */
  readonly toNs: bigint;
  /** Which process, where it is another than the test's. */
  readonly of?: string;
  readonly pid?: number;
}

/** Where a heartbeat takes its time from. */
export interface Pulse {
  nowNs(): bigint;
  /** The processor time that this process has used so far. */
  cpuMs(): number;
  every(ms: number, beat: () => void): () => void;
}

const everyMs = 20;
/** Timers are late by a few milliseconds on the quietest machine. */
const usualMs = 10;

/**
 * Tells of each stall of this process, measured by a timer that comes late. What the process itself
 * computed meanwhile is no stall: a product that blocks its event loop gets no allowance for it.
 * Returns the function that ends it.
 */
export function beatHeart(onStall: (stall: Stall) => void, pulse: Pulse = systemPulse): () => void {
  let [beforeNs, beforeCpuMs] = [pulse.nowNs(), pulse.cpuMs()];
  return pulse.every(everyMs, () => {
    const [nowNs, cpuMs] = [pulse.nowNs(), pulse.cpuMs()];
    const lateMs = Number(nowNs - beforeNs) / 1e6 - everyMs;
    const lostMs = lateMs - (cpuMs - beforeCpuMs);
    if (lostMs > usualMs) onStall({ fromNs: nowNs - BigInt(Math.round(lostMs * 1e6)), toNs: nowNs });
    [beforeNs, beforeCpuMs] = [nowNs, cpuMs];
  });
}

const systemPulse: Pulse = {
  nowNs: () => process.hrtime.bigint(),
  cpuMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  },
  every: (ms, beat) => {
    // It keeps no process alive: whether one ends by itself is what some tests look at.
    const timer = setInterval(beat, ms).unref();
    return () => clearInterval(timer);
  },
};
