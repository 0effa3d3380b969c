const listening = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls back once when the signal aborts, unless the function that this returns was called before.
 * The signal must not have aborted yet.
 *
 * One listener on the signal serves all, and goes with the last of them. Thousands of waits share
 * the signal of their coordinator, and Node looks through all listeners of a signal whenever one is
 * added: with ten thousand waits that kept the event loop busy for six seconds, in which nothing
 * was renewed.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const callbacks = listening.get(signal) ?? listen(signal);
  // In a function of its own, so that one callback may be given twice.
  const call = (): void => callback();
  callbacks.add(call);
  return () => {
    if (!callbacks.delete(call) || callbacks.size > 0) return;
    signal.removeEventListener("abort", tellAll);
    listening.delete(signal);
  };
}

function listen(signal: AbortSignal): Set<() => void> {
  const callbacks = new Set<() => void>();
  listening.set(signal, callbacks);
  signal.addEventListener("abort", tellAll, { once: true });
  return callbacks;
}

function tellAll(this: AbortSignal): void {
  const callbacks = listening.get(this);
  listening.delete(this);
  // One that is taken back by another is not called any more.
  for (const call of callbacks ?? []) call();
}
