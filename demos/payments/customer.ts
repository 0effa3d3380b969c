import { setTimeout as sleep } from "node:timers/promises";
import type { Order } from "./orders.ts";

/** What came of one customer's tries. */
export interface Receipt {
  readonly order: Order;
  /** What the service said in the end. */
  readonly body: string;
  readonly replayed: boolean;
  readonly tries: number;
  /** Tries to which no answer came: cut off, refused, or given up. */
  readonly unanswered: number;
  /** Tries that found another one still executing: 409. */
  readonly conflicts: number;
}

export interface Payment {
  /** Where the service is found at this try. */
  readonly url: (attempt: number) => string;
  readonly signal: AbortSignal;
}

/** How long a customer waits for an answer, and then between two tries: less than it should. */
const patienceMs = 200;
const pauseMs = 100;

/** Tries until it is told that it has paid, always under the same key. */
export async function pay(order: Order, { url, signal }: Payment): Promise<Receipt> {
  const count = { unanswered: 0, conflicts: 0 };
  for (let tries = 1; ; tries++) {
    signal.throwIfAborted();
    const answer = await ask(order, url(tries), signal);
    if (answer?.status === 201) {
      const { body, replayed } = answer;
      return { order, body, replayed, tries, ...count };
    }
    if (answer === null) count.unanswered++;
    else if (answer.status === 409) count.conflicts++;
    else if (answer.status !== 503) throw new Error(`${order.name} got ${answer.status}: ${answer.body}`);
    await sleep(pauseMs, undefined, { signal });
  }
}

async function ask(
  { name, tenant, amount, key }: Order,
  url: string,
  signal: AbortSignal,
): Promise<{ status: number; body: string; replayed: boolean } | null> {
  try {
    const response = await fetch(`${url}/charges`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-tenant": tenant, "idempotency-key": `"${key}"` },
      body: JSON.stringify({ order: name, amount }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]),
    });
    const replayed = response.headers.get("idempotent-replayed") === "true";
    return { status: response.status, body: await response.text(), replayed };
  } catch {
    return null;
  }
}
