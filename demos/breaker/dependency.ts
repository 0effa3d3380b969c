import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { nowMs } from "../shared/now-ms.ts";

/**
 * One call that reached the dependency: from its sending to its answer, on the machine's monotonic
 * clock.
 */
export interface Arrival {
  readonly node: string;
  readonly atMs: number;
  readonly endMs: number;
}

/** How long it takes for an answer: long enough for two probes to be seen beside each other. */
const answerMs = 60;

/** What all nodes call: it works, or fails for some, or for everybody. */
export class Dependency {
  readonly arrivals: Arrival[] = [];
  readonly #lostFor = new Set<string>();
  #isDown = false;

  loseFor(node: string): void {
    this.#lostFor.add(node);
  }

  goDown(): void {
    this.#isDown = true;
  }

  recover(): void {
    this.#lostFor.clear();
    this.#isDown = false;
  }

  /** `GET /<node>/<when it was sent>` answers 200 or 503. Resolves with the address. */
  async listen(): Promise<{ readonly url: string } & AsyncDisposable> {
    const server = createServer((request, response) => {
      const [, node = "", sentMs] = (request.url ?? "").split("/");
      void this.#serve(node, Number(sentMs)).then((served) => response.writeHead(served ? 200 : 503).end());
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject).listen(0, "127.0.0.1", resolve);
    });
    const address = server.address();
    if (typeof address !== "object" || address === null) throw new Error("the dependency does not listen");
    return {
      url: `http://127.0.0.1:${address.port}`,
      [Symbol.asyncDispose]: async () => {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      },
    };
  }

  async #serve(node: string, atMs: number): Promise<boolean> {
    await sleep(answerMs);
    this.arrivals.push({ node, atMs, endMs: nowMs() });
    return !this.#isDown && !this.#lostFor.has(node);
  }
}
