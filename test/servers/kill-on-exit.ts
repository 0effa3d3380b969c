const kills = new Set<() => void>();

/**
 * Runs `kill`, which must not be asynchronous, when this process exits or is ended by SIGINT,
 * SIGTERM or SIGHUP. The returned function calls that off.
 */
export function killOnExit(kill: () => void): () => void {
  if (kills.size === 0) listen();
  kills.add(kill);
  return () => {
    kills.delete(kill);
    if (kills.size === 0) unlisten();
  };
}

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

function listen(): void {
  process.on("exit", killAll);
  for (const signal of signals) process.on(signal, onSignal);
}

function unlisten(): void {
  process.off("exit", killAll);
  for (const signal of signals) process.off(signal, onSignal);
}

function onSignal(signal: NodeJS.Signals): void {
  killAll();
  unlisten();
  // Listening took the signal's own effect away, so it is sent once more, without us. To look
  // whether anybody else listens would not do: libraries (signal-exit is one) listen too, and end
  // the process only if nobody else does.
  process.kill(process.pid, signal);
}

function killAll(): void {
  for (const kill of kills) kill();
}
