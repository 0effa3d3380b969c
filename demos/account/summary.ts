import type { Row } from "../shared/summary.ts";
import type { WorkerEvent } from "./worker.ts";

export interface Takeover {
  readonly by: "kill" | "freeze";
  /** From the kill or the freeze to the successor's grant. */
  readonly ms: number;
}

/** What happened, in order of time. */
export interface History {
  readonly events: readonly WorkerEvent[];
  readonly takeovers: readonly Takeover[];
}

/** Holds the history against what the lock and the guard promise. */
export function summarise(
  { events, takeovers }: History,
  account: { readonly initial: number; readonly amount: number; readonly found: number },
): readonly Row[] {
  const withdrawals = events.filter(({ kind }) => kind === "withdrew").length;
  const refused = events.filter(({ kind }) => kind === "refused").length;
  const expected = account.initial - withdrawals * account.amount;
  const tokens = events.flatMap((event) => (event.kind === "granted" ? [event.token] : []));
  const increasing = tokens.every((token, index) => index === 0 || token > (tokens[index - 1] ?? token));
  const accepted = staleWritesAccepted(events);
  return [
    { what: "withdrawals", found: String(withdrawals), ok: withdrawals > 0 },
    { what: "balance expected", found: String(expected) },
    { what: "balance found", found: String(account.found), ok: account.found === expected },
    {
      what: "tokens strictly increasing",
      found: `${increasing ? "yes" : "NO"} (${tokens.length} grants)`,
      ok: increasing && tokens.length > 0,
    },
    { what: "stale writes refused", found: String(refused), ok: refused > 0 },
    { what: "stale writes accepted", found: String(accepted), ok: accepted === 0 },
    ...(["kill", "freeze"] as const).map((by): Row => {
      const takeover = takeovers.find((each) => each.by === by);
      const found = takeover === undefined ? "never" : `${(takeover.ms / 1000).toFixed(2)} s`;
      return { what: `takeover after the ${by}`, found, ok: takeover !== undefined };
    }),
  ];
}

/** Writes that went through although a higher token had opened the account before. */
function staleWritesAccepted(events: readonly WorkerEvent[]): number {
  let highest = -1n;
  let accepted = 0;
  for (const event of events) {
    if (event.kind === "opened" && event.token > highest) highest = event.token;
    if (event.kind === "withdrew" && event.token < highest) accepted += 1;
  }
  return accepted;
}
