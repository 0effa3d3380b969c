import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { nowMs } from "../shared/now-ms.ts";

/** What a shop asks of the bank. `key`: its `downstreamKey`. */
export interface TransferRequest {
  readonly order: string;
  readonly amount: number;
  readonly shop: string;
  readonly key: string;
  /** Whether the money of this key had moved already, so that nothing was moved now. */
  readonly repeated: boolean;
  readonly atMs: number;
}

export interface Bank extends AsyncDisposable {
  readonly url: string;
  /** All that was asked, in order. Money moved for those that were not repeated. */
  readonly requests: readonly TransferRequest[];
}

/**
 * A bank that moves money at once, takes its time to say so, and keeps idempotency keys, as banks
 * do: this is what makes a crash between its transfer and the shop's record harmless. `moved` hears
 * of each transfer before the shop does.
 */
export async function startBank(
  delayMs: (order: string) => number,
  moved: (request: TransferRequest) => void,
): Promise<Bank> {
  const known = new Set<string>();
  const requests: TransferRequest[] = [];
  const server = createServer((request, response) => {
    const answer = async (): Promise<void> => {
      const { order, amount, shop } = JSON.parse(await textOf(request)) as TransferRequest;
      const key = String(request.headers["idempotency-key"]);
      const transfer = { order, amount, shop, key, repeated: known.has(key), atMs: nowMs() };
      known.add(key);
      requests.push(transfer);
      moved(transfer);
      await sleep(delayMs(order));
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ transfer: key.slice(0, 8) }));
    };
    // A shop that was killed in the middle of asking.
    answer().catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}
