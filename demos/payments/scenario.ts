import { startFaultProxy, type FaultProxy } from "@leasehold/testing";
import type { HttpEvent } from "@leasehold/http";
import { Members } from "../shared/members.ts";
import { nowMs } from "../shared/now-ms.ts";
import type { Run } from "../shared/run.ts";
import type { Row } from "../shared/summary.ts";
import { startBank, type TransferRequest } from "./bank.ts";
import { pay, type Receipt } from "./customer.ts";
import { inEuros, makeOrders, type Order } from "./orders.ts";
import shop, { type ShopConfig, type ShopEvent } from "./shop.ts";
import { summarise } from "./summary.ts";

const names = ["shop-1", "shop-2"];
const orders = makeOrders(12);
/** So many customers pay at once. */
const atOnce = 3;
/** The bank is slow for every fourth: slower than a customer is patient. */
const bankDelayMs = (order: string): number => (numberOf(order) % 4 === 0 ? 450 : 40);
/** One replica dies when the bank has moved the money of this order, before it could hear of it. */
const fatalOrder = "order-6";

/**
 * Lets customers pay through proxies that lose replies, and kills a replica in the middle of a
 * charge.
 */
export async function scenario(run: Run): Promise<readonly Row[]> {
  const { timeline, ttlMs, signal } = run;
  let kill: { readonly name: string; readonly atMs: number } | null = null;
  let takeoverMs: number | null = null;
  timeline.say("payments", `two replicas, ${run.where}; lease ${ttlMs / 1_000} s`);

  const bank = await startBank(bankDelayMs, moved);
  run.defer(() => bank[Symbol.asyncDispose]());
  const ports = new Map<string, number>();
  const shops = new Members<ShopConfig, never, ShopEvent>(
    run,
    shop,
    { names, config: { bankUrl: bank.url } },
    (name, message) => {
      if ("event" in message) return hear(name, message.event);
      ports.set(name, message.port);
      run.changed();
    },
  );
  await run.until(() => ports.size === names.length);
  const proxies = new Map<string, FaultProxy>();
  for (const [name, port] of ports) {
    const proxy = await startFaultProxy({ target: { host: "127.0.0.1", port } });
    run.defer(() => proxy.close());
    proxies.set(name, proxy);
  }

  const paid = await payAll();
  timeline.say("payments", "all have paid; each asks once more, under its old key");
  const survivor = names.findIndex((name) => name !== kill?.name);
  const url = (): string => proxyOf(survivor).url("http");
  const again: Receipt[] = [];
  for (const order of orders) again.push(await pay(order, { url, signal }));
  return summarise({ orders, receipts: { paid, again }, requests: bank.requests, takeoverMs }, ttlMs);

  async function payAll(): Promise<readonly Receipt[]> {
    const receipts: Receipt[] = [];
    const waiting = [...orders];
    const serve = async (): Promise<void> => {
      for (let order = waiting.shift(); order !== undefined; order = waiting.shift()) {
        const receipt = await pay(order, { url: lossyUrl(order), signal });
        receipts.push(receipt);
        tell(receipt);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, serve));
    return receipts;
  }

  /**
   * By turns to one replica and the other. To two orders in three the first reply is lost, and the
   * third.
   */
  function lossyUrl({ name, key, tenant }: Order): (attempt: number) => string {
    const number = numberOf(name);
    return (attempt) => {
      const proxy = proxyOf((number + attempt) % names.length);
      if (number % 3 !== 0 && (attempt === 1 || attempt === 3)) {
        const match = (chunk: Buffer): boolean => chunk.includes(`"${key}"`) && chunk.includes(tenant);
        proxy.cutAfterNextRequest({ match }).catch(() => undefined);
      }
      return proxy.url("http");
    };
  }

  function proxyOf(index: number): FaultProxy {
    const proxy = proxies.get(names[index] ?? "");
    if (proxy === undefined) throw new Error(`there is no replica ${index}`);
    return proxy;
  }

  function tell({ order, tries, unanswered, conflicts, replayed }: Receipt): void {
    const how = [
      ...(unanswered > 0 ? [`${unanswered} unanswered`] : []),
      ...(conflicts > 0 ? [`${conflicts} × 409`] : []),
      ...(replayed ? ["then the result of an earlier one"] : []),
    ].join(", ");
    const what = `paid ${inEuros(order.amount)} in ${tries} ${tries === 1 ? "try" : "tries"}`;
    timeline.say(order.name, how === "" ? what : `${what}: ${how}`, { style: "green" });
  }

  /** The worst moment: the money has moved, and nobody but the bank knows. */
  function moved({ order, amount, shop: name, repeated }: TransferRequest): void {
    if (repeated) {
      const what = `asked again for ${order}, under the same downstreamKey: moves nothing`;
      timeline.say("bank", what, { style: "yellow" });
    }
    if (order !== fatalOrder) return;
    if (kill !== null) {
      takeoverMs ??= nowMs() - kill.atMs;
      return;
    }
    timeline.say("bank", `has moved the ${inEuros(amount)} of ${order}, and not yet said so`);
    timeline.say(name, shops.words.kill, { style: "red" });
    kill = { name, atMs: nowMs() };
    shops.kill(name);
  }

  function hear(name: string, event: HttpEvent): void {
    if (event.outcome !== "executed" || event.attempt === 1) return;
    const what = `took over a charge of ${event.scope}: attempt ${event.attempt}, ${event.record}`;
    timeline.say(name, what, { style: "yellow" });
  }
}

function numberOf(order: string): number {
  return Number(order.split("-")[1]);
}
