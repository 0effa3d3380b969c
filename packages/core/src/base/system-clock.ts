import { longestTimerMs, type Clock, type Instant, type Timer } from "./clock.ts";

/** Only to see whether it is still the same function. */
const monoReader = (): unknown => Reflect.get(performance, "now");

/** What the program had when this module was loaded. */
const original = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  monoReader: monoReader(),
  monoMs: performance.now.bind(performance),
  wallMs: Date.now,
};

/** What to add to the monotonic clock to get the wall clock, at the start. */
const betweenMs = Date.now() - performance.now();

/** Where monotonic time was read last, what that said, and what is added to it. */
let source = original.monoReader;
let lastMs = performance.now();
let addedMs = 0;

/**
 * Monotonic time goes on where it was when a test begins, or ends, to fake it: a faked clock starts
 * anywhere, and what waits on this one would wait for ever.
 */
function continued(reader: unknown, readMs: number): number {
  if (reader !== source) addedMs = lastMs - readMs;
  source = reader;
  lastMs = readMs + addedMs;
  return lastMs;
}

const realNow = (): Instant => ({
  monoMs: continued(original.monoReader, original.monoMs()),
  wallMs: original.wallMs(),
});

/** Which of the clocks are somebody's own by now: a test that fakes time. */
function fakedClocks(): { readonly mono: boolean; readonly wall: boolean } {
  return { mono: monoReader() !== original.monoReader, wall: Date.now !== original.wallMs };
}

/** Whether a faked time counts. Each look at a lease asks this; outside of tests it is cheap. */
function isFaked(): boolean {
  if (globalThis.setTimeout === original.setTimeout) return false;
  const { mono, wall } = fakedClocks();
  return mono || wall;
}

/**
 * The system's clocks. Where a test fakes time, the faked one: then timers and both clocks are of
 * one kind, whichever of them the test fakes. Else a renewal would come due on a clock that stands
 * still, or a deadline pass on one that runs while no timer fires.
 *
 * - Timers, and at least one clock: the faked time counts, and the other clock follows the faked
 *   one.
 * - Timers alone, or clocks alone: a faked time that nobody moves on, or whose timers never fire,
 *   is none to live by. All are the real ones.
 */
export const systemClock: Clock = {
  now: () => {
    if (!isFaked()) return realNow();
    const { mono, wall } = fakedClocks();
    return {
      monoMs: mono ? continued(monoReader(), performance.now()) : continued(Date.now, Date.now()),
      wallMs: wall ? Date.now() : performance.now() + betweenMs,
    };
  },
  schedule: (delayMs, callback, options = {}): Timer => {
    const { setTimeout, clearTimeout } = isFaked() ? globalThis : original;
    const timer = setTimeout(callback, Math.min(Math.max(0, Math.ceil(delayMs)), longestTimerMs));
    if (options.keepAlive !== true) timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
