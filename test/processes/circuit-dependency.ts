import { createServer, type Server, type ServerResponse } from "node:http";

import { waitUntil } from "../servers/wait-until.ts";

/** One call that reached the dependency. */
export interface Arrival {
  readonly node: string;
  /** On `process.hrtime.bigint()`. */
  readonly atNs: bigint;
  /** When it was answered, or its caller was gone; null while it is under way. */
  endNs: bigint | null;
}

interface Held {
  readonly arrival: Arrival;
  readonly response: ServerResponse;
}

/**
 * What the circuits of the tests guard: a server in this process, which works, fails or hangs as it
 * is told.
 */
export class CircuitDependency implements AsyncDisposable {
  readonly arrivals: Arrival[] = [];
  /** To these nodes it answers 503. */
  readonly failsFor = new Set<string>();
  /** Keeps every call until it is answered by hand. */
  hangs = false;
  readonly #held: Held[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const node = request.headers["x-node"];
      const arrival: Arrival = { node: String(node), atNs: process.hrtime.bigint(), endNs: null };
      this.arrivals.push(arrival);
      // Also when its caller was killed.
      response.once("close", () => (arrival.endNs ??= process.hrtime.bigint()));
      if (this.hangs) this.#held.push({ arrival, response });
      else answer({ arrival, response }, this.failsFor.has(arrival.node) ? 503 : 200);
    });
    // It never hangs up: a request that crosses with that would fail for no fault of the circuit's.
    this.#server.keepAliveTimeout = 0;
  }

  static async listen(): Promise<CircuitDependency> {
    const dependency = new CircuitDependency();
    await new Promise<void>((resolve, reject) => {
      dependency.#server.once("error", reject).listen(0, "127.0.0.1", resolve);
    });
    return dependency;
  }

  get port(): number {
    const address = this.#server.address();
    if (typeof address !== "object" || address === null) throw new Error("the dependency is closed");
    return address.port;
  }

  /** The calls that arrived at `index` and later. */
  since(index: number): readonly Arrival[] {
    return this.arrivals.slice(index);
  }

  /** The call that arrives as the one after `count` others. */
  async arrival(count: number): Promise<Arrival> {
    await waitUntil(`call ${count}`, () => this.arrivals.length > count);
    return this.arrivals[count]!;
  }

  /** Answers a call that it keeps. */
  answer(arrival: Arrival, status: 200 | 503): void {
    const index = this.#held.findIndex((held) => held.arrival === arrival);
    const [held] = index < 0 ? [] : this.#held.splice(index, 1);
    if (held === undefined) throw new Error(`the call of ${arrival.node} is not under way`);
    answer(held, status);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function answer({ arrival, response }: Held, status: number): void {
  arrival.endNs = process.hrtime.bigint();
  response.writeHead(status).end();
}
