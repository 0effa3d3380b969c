import type { HttpEvent } from "@leasehold/http";
import { startFaultProxy, type FaultProxy } from "@leasehold/testing";
import { nowMs } from "../shared/now-ms.ts";
import type { Timeline } from "../shared/timeline.ts";
import { startBank, type TransferRequest } from "./bank.ts";
import type { Job } from "./crew.ts";
import { pay, type Payment, type Receipt } from "./customer.ts";
import { inEuros, type Order } from "./orders.ts";
import type { Stage } from "./stage.ts";
import type { History } from "./verdict.ts";

/** So many customers pay at once. */
const atOnce = 3;
/** The bank is slow for every fourth: slower than a customer is patient. */
const bankDelayMs = (order: string): number => (numberOf(order) % 4 === 0 ? 450 : 40);
/** One replica dies when the bank has moved the money of this order, before it could hear of it. */
const fatalOrder = "order-6";

/** Lets customers pay through proxies that lose replies, and kills a replica in the middle of a charge. */
export class Director {
  readonly #stage: Stage;
  readonly #job: Job;
  readonly #orders: readonly Order[];
  readonly #timeline: Timeline;
  readonly #proxies: FaultProxy[] = [];
  #kill: { readonly shop: string; readonly atMs: number } | null = null;
  #takeoverMs: number | null = null;

  constructor(stage: Stage, { job, orders }: { job: Job; orders: readonly Order[] }, timeline: Timeline) {
    this.#stage = stage;
    this.#job = job;
    this.#orders = orders;
    this.#timeline = timeline;
  }

  /** Rejects when a replica fails, when it is not over within `withinMs`, and when `signal` aborts. */
  async play(withinMs: number, signal: AbortSignal): Promise<History> {
    const { crew } = this.#stage;
    const over = new AbortController();
    const curfew = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => curfew.reject(new Error(`the example is not over after ${withinMs / 1_000} s`)),
      withinMs,
    );
    await using bank = await startBank(bankDelayMs, (transfer) => this.#moved(transfer));
    try {
      const ports = await crew.start(bank.url, (shop, event) => this.#hear(shop, event));
      for (const port of ports)
        this.#proxies.push(await startFaultProxy({ target: { host: "127.0.0.1", port } }));
      const played = this.#customers(AbortSignal.any([over.signal, signal]));
      played.catch(() => undefined);
      const receipts = await Promise.race([played, crew.failed, curfew.promise]);
      return { orders: this.#orders, receipts, requests: bank.requests, takeoverMs: this.#takeoverMs };
    } finally {
      clearTimeout(timer);
      over.abort();
      await Promise.all(this.#proxies.map((proxy) => proxy.close()));
    }
  }

  /** Each pays, and when all have paid asks once more, as if it had forgotten. */
  async #customers(signal: AbortSignal): Promise<{ readonly paid: Receipt[]; readonly again: Receipt[] }> {
    const paid: Receipt[] = [];
    const waiting = [...this.#orders];
    const serve = async (): Promise<void> => {
      for (let order = waiting.shift(); order !== undefined; order = waiting.shift())
        paid.push(this.#told(await pay(order, this.#lossy(order, signal))));
    };
    await Promise.all(Array.from({ length: atOnce }, serve));
    this.#timeline.say("payments", "all have paid; each asks once more, under its old key");
    const again: Receipt[] = [];
    const survivor = this.#job.shops.findIndex((shop) => shop !== this.#kill?.shop);
    const url = (): string => this.#proxyOf(survivor).url("http");
    for (const order of this.#orders) again.push(await pay(order, { url, signal }));
    return { paid, again };
  }

  /** By turns to one replica and the other, through proxies that lose the first reply, and the third, to two orders in three. */
  #lossy(order: Order, signal: AbortSignal): Payment {
    const number = numberOf(order.name);
    const url = (attempt: number): string => {
      const proxy = this.#proxyOf((number + attempt) % this.#job.shops.length);
      if (number % 3 !== 0 && (attempt === 1 || attempt === 3)) {
        const match = (chunk: Buffer): boolean =>
          chunk.includes(`"${order.key}"`) && chunk.includes(order.tenant);
        proxy.cutAfterNextRequest({ match }).catch(() => undefined);
      }
      return proxy.url("http");
    };
    return { url, signal };
  }

  #proxyOf(index: number): FaultProxy {
    const proxy = this.#proxies[index];
    if (proxy === undefined) throw new Error(`there is no replica ${index}`);
    return proxy;
  }

  #told(receipt: Receipt): Receipt {
    const { order, tries, unanswered, conflicts, replayed } = receipt;
    const how = [
      ...(unanswered > 0 ? [`${unanswered} unanswered`] : []),
      ...(conflicts > 0 ? [`${conflicts} × 409`] : []),
      ...(replayed ? ["then the result of an earlier one"] : []),
    ].join(", ");
    const what = `paid ${inEuros(order.amount)} in ${tries} ${tries === 1 ? "try" : "tries"}`;
    this.#timeline.say(order.name, how === "" ? what : `${what}: ${how}`, { style: "green" });
    return receipt;
  }

  /** The worst moment: the money has moved, and nobody but the bank knows. */
  #moved({ order, amount, shop, repeated }: TransferRequest): void {
    if (repeated) {
      const what = `asked again for ${order}, under the same downstreamKey: moves nothing`;
      this.#timeline.say("bank", what, { style: "yellow" });
    }
    if (order !== fatalOrder) return;
    if (this.#kill === null) {
      this.#timeline.say("bank", `has moved the ${inEuros(amount)} of ${order}, and not yet said so`);
      this.#timeline.say(shop, this.#stage.crew.killed, { style: "red" });
      this.#kill = { shop, atMs: nowMs() };
      this.#stage.crew.kill(shop);
    } else this.#takeoverMs ??= nowMs() - this.#kill.atMs;
  }

  #hear(shop: string, event: HttpEvent): void {
    if (event.outcome !== "executed" || event.attempt === 1) return;
    const what = `took over a charge of ${event.scope}: attempt ${event.attempt}, ${event.record}`;
    this.#timeline.say(shop, what, { style: "yellow" });
  }
}

function numberOf(order: string): number {
  return Number(order.split("-")[1]);
}
