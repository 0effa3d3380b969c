/** What is told of a withdrawal in which nothing happened. */
export interface Withdrawal {
  readonly token: bigint;
  readonly balance: number;
}

/** Many of them become one line of the timeline. */
export function summarise(withdrawals: readonly Withdrawal[]): string {
  const [first, last] = [withdrawals[0], withdrawals.at(-1)];
  if (first === undefined || last === undefined) return "";
  const count = withdrawals.length;
  const tokens = count === 1 ? `token ${first.token}` : `tokens ${first.token} to ${last.token}`;
  return `${count} withdrawal${count === 1 ? "" : "s"}, ${tokens}, balance ${last.balance}`;
}
