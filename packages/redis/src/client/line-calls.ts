import { elapsedMs, type Clock, type Resource } from "@leasehold/core";
import type { ResourceKeys } from "../scripts/keys.ts";
import { makesLine, needsLine } from "../scripts/line.ts";
import { scripts, type Script } from "../scripts/script.ts";
import { isCluster } from "./client.ts";
import type { Call, Connection, Reply } from "./connection.ts";

/**
 * For how long a name is taken for contended after its line was met, in milliseconds. Short, since
 * the line may end meanwhile.
 */
const REMEMBERED_MS = 1_000;
/** How many names are remembered. */
const MOST_REMEMBERED = 1_000;
/** How long one script that grants on may take, in milliseconds. */
const GRANT_ON_MS = 5_000;

type Wanting = typeof needsLine | typeof makesLine;

/** One step on lines. */
export interface LineCall<T> {
  readonly script: Script;
  /** In a Cluster all of them have one name: so they lie in one slot. */
  readonly resources: readonly Resource[];
  readonly args: readonly string[];
  readonly timeoutMs: number;
  readonly decode: (reply: unknown) => T | undefined;
  /** As in `Call`. */
  readonly wrote?: (value: T) => boolean;
  /** As in `Call`. */
  readonly late?: (value: T) => void;
}

export interface LineCallsOptions {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly keysOf: (resource: string) => ResourceKeys;
}

/**
 * Sends scripts with the keys they need, and goes on where one stopped granting.
 *
 * On a single server a script has all keys of its resources. In a Cluster it is sent with their
 * hashes alone, and with all keys only if it answers that it needs the line. A script whose keys do
 * not all exist is refused while their slot is moved from one node to another, which an interrupted
 * move makes last. With one key it is served all the time, so whatever is uncontended goes on. With
 * three it is served once there is a line, since then all of them exist; only while some are moved
 * and others are not it has to wait.
 *
 * A contended name would cost two round trips, so it is remembered for a moment. A name whose line
 * was yet to be made is not: while its slot is moved that is refused, and the next who comes, the
 * holder above all, must not be refused with it.
 */
export class LineCalls {
  readonly #options: LineCallsOptions;
  readonly #inCluster: boolean;
  /** The hashes of contended names, and when they are to be forgotten, on the monotonic clock. */
  readonly #contended = new Map<string, number>();
  /** The hashes of lines that are granted on just now. */
  readonly #granting = new Set<string>();

  constructor(options: LineCallsOptions) {
    this.#options = options;
    this.#inCluster = isCluster(options.connection.client);
  }

  /** As `Connection.call`. */
  call<T>(call: LineCall<T>): Promise<Reply<T>> {
    const { connection, keysOf } = this.#options;
    const { script, resources, args, timeoutMs, decode, wrote, late } = call;
    const [only, ...others] = resources;
    const keys =
      only !== undefined && others.length === 0
        ? keysOf(only.name).all
        : resources.flatMap(({ name }) => keysOf(name).all);
    const decodeLine = (reply: unknown): T | undefined =>
      decode(eachAnswer(script, reply, (answer, i) => this.#takeMore(answer, resources[i])));
    const onLine: Call<T> = { script, keys, args, timeoutMs, decode: decodeLine, wrote, late };
    return this.#inCluster ? this.#callInCluster(call, onLine) : connection.call(onLine);
  }

  async #callInCluster<T>(call: LineCall<T>, onLine: Call<T>): Promise<Reply<T>> {
    const { connection, clock, keysOf } = this.#options;
    const { script, resources, args, decode, wrote, late } = call;
    const bases = resources.map(({ name }) => keysOf(name).base);
    const [base = ""] = bases;
    if (this.#isContended(base)) {
      try {
        return await connection.call(onLine);
      } catch (error) {
        // The line may be no more, and the slot on the move: the next try begins with the hash.
        this.#contended.delete(base);
        throw error;
      }
    }
    const startedAt = clock.now();
    const first = await connection.call<T | Wanting>({
      ...{ script, keys: bases, args, timeoutMs: call.timeoutMs },
      decode: (reply) => wanting(script, reply) ?? decode(reply),
      // That it wants the line proves nothing, and is of no use once it is late.
      wrote: (value) => isAnswer(value) && wrote?.(value) !== false,
      late: (value) => {
        if (isAnswer(value)) late?.(value);
      },
    });
    const { value } = first;
    if (isAnswer(value)) return { ...first, value };
    if (value === needsLine) this.#remember(base);
    const timeoutMs = Math.max(1, call.timeoutMs - elapsedMs(clock, startedAt));
    const second = await connection.call({ ...onLine, timeoutMs });
    // A late copy of the first could find that the line is no more, and act.
    return first.resent ? { ...second, resent: true } : second;
  }

  /**
   * An answer without the mark that says that more claims could be granted. Those are granted in
   * the background: whoever waits for them is told by a push, or learns it when it renews.
   */
  #takeMore(answer: unknown, resource: Resource | undefined): unknown {
    if (typeof answer !== "string" || !answer.endsWith("+") || answer.startsWith("e ")) return answer;
    if (resource !== undefined) void this.#grantOn(resource);
    return answer.slice(0, -1);
  }

  /** Never rejects: the next step that anybody takes grants on, too. */
  async #grantOn(resource: Resource): Promise<void> {
    const { connection, keysOf } = this.#options;
    const { base, line, expiry, changes } = keysOf(resource.name);
    if (this.#granting.has(base)) return;
    this.#granting.add(base);
    try {
      for (let more = true; more;) {
        const { value } = await connection.call({
          script: scripts.release,
          keys: [base, line, expiry],
          // Nobody's release: it only grants.
          args: ["", "0", ...(resource.announce ? [changes] : [])],
          timeoutMs: GRANT_ON_MS,
          decode: (reply) => ({ more: typeof reply === "string" && reply.endsWith("+") }),
        });
        more = value.more;
      }
    } catch {
      // The store is out of reach, which it has reported.
    } finally {
      this.#granting.delete(base);
    }
  }

  #isContended(base: string): boolean {
    const untilMs = this.#contended.get(base);
    if (untilMs === undefined) return false;
    if (this.#options.clock.now().monoMs < untilMs) return true;
    this.#contended.delete(base);
    return false;
  }

  #remember(base: string): void {
    if (this.#contended.size >= MOST_REMEMBERED) this.#contended.clear();
    this.#contended.set(base, this.#options.clock.now().monoMs + REMEMBERED_MS);
  }
}

function isAnswer<T>(value: T | Wanting): value is T {
  return value !== needsLine && value !== makesLine;
}

/** A renewal answers for each claim. Other lists hold what users wrote, and are left alone. */
function eachAnswer(
  script: Script,
  reply: unknown,
  change: (answer: unknown, index: number) => unknown,
): unknown {
  if (script === scripts.renew && Array.isArray(reply)) return reply.map(change);
  return change(reply, 0);
}

/** A batch is about one line in a Cluster, so what one of its claims meets they all meet. */
function wanting(script: Script, reply: unknown): Wanting | undefined {
  const answers: readonly unknown[] = script === scripts.renew && Array.isArray(reply) ? reply : [reply];
  return ([needsLine, makesLine] as const).find((word) => answers.includes(word));
}
