import type { Row } from "../shared/summary.ts";
import type { TransferRequest } from "./bank.ts";
import type { Receipt } from "./customer.ts";
import { inEuros, type Order } from "./orders.ts";

/** What happened. */
export interface History {
  readonly orders: readonly Order[];
  readonly receipts: {
    readonly paid: readonly Receipt[];
    /** Of those who asked once more. */
    readonly again: readonly Receipt[];
  };
  /** All that the bank was asked, in order. */
  readonly requests: readonly TransferRequest[];
  /** From the kill until another replica asked for the same charge; null: none did. */
  readonly takeoverMs: number | null;
}

/** Holds the history against what idempotency keys promise. */
export function summarise(
  { orders, receipts, requests, takeoverMs }: History,
  leaseMs: number,
): readonly Row[] {
  const { paid, again } = receipts;
  const charges = requests.filter(({ repeated }) => !repeated);
  const chargesOf = ({ name, amount }: Order): number =>
    charges.filter((each) => each.order === name && each.amount === amount).length;
  const once = orders.filter((order) => chargesOf(order) === 1).length;
  const double = orders.filter((order) => chargesOf(order) > 1).length;
  const resultOf = (of: readonly Receipt[], order: Order): string | undefined =>
    of.find((receipt) => receipt.order === order)?.body;
  const agreed = orders.filter((order) => {
    const result = resultOf(paid, order);
    return result !== undefined && result.includes(`"${order.name}"`) && result === resultOf(again, order);
  }).length;
  const all = [...paid, ...again];
  const sum = (count: (receipt: Receipt) => number): number =>
    all.reduce((total, receipt) => total + count(receipt), 0);
  const limitMs = 2 * leaseMs + 500;
  return [
    {
      what: "charged exactly once",
      found: `${once} of ${orders.length} orders; ${double} charged twice`,
      ok: once === orders.length && charges.length === orders.length,
    },
    {
      what: "one result for each key",
      found: `${agreed} of ${orders.length}, the same bytes to all who asked`,
      ok: agreed === orders.length,
    },
    {
      what: "replayed when asked again",
      found: `${again.filter(({ replayed }) => replayed).length} of ${orders.length}`,
      ok: again.length === orders.length && again.every(({ replayed }) => replayed),
    },
    {
      what: "takeover after the kill",
      found:
        takeoverMs === null
          ? "NONE"
          : `${(takeoverMs / 1_000).toFixed(2)} s, of ${limitMs / 1_000} s at most`,
      ok: takeoverMs !== null && takeoverMs <= limitMs,
    },
    {
      what: "charges made",
      found: `${charges.length}, ${inEuros(charges.reduce((total, { amount }) => total + amount, 0))} in all`,
    },
    {
      what: "asked of the bank",
      found: `${requests.length} times; ${requests.length - charges.length} of them again, which would be double charges without downstreamKey`,
    },
    {
      what: "tries",
      found: `${sum(({ tries }) => tries)}, of which ${sum(({ unanswered }) => unanswered)} got no answer`,
    },
    { what: "replays", found: String(all.filter(({ replayed }) => replayed).length) },
    { what: "conflicts (409)", found: String(sum(({ conflicts }) => conflicts)) },
  ];
}
