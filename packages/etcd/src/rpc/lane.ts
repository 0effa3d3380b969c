import type { Clock } from "@leasehold/core";
import type { Deadline } from "./deadline.ts";
import { RpcFailure } from "./failure.ts";

interface Waiting {
  readonly go: () => void;
  readonly fail: (failure: RpcFailure) => void;
}

/**
 * Lets so many requests be under way at once; the others wait for their turn, in order, each until
 * its own deadline. A request that waits here has done nothing, and says so; sent with ten thousand
 * others it would be unanswered when its time is over, and nobody would know what it did. Worse, the
 * server would carry out what nobody waits for any more, while those who ask again wait behind it.
 */
export class Lane {
  readonly #clock: Clock;
  readonly #atOnce: number;
  readonly #waiting = new Set<Waiting>();
  #running = 0;
  #closed: RpcFailure | undefined;

  constructor(clock: Clock, atOnce: number) {
    this.#clock = clock;
    this.#atOnce = atOnce;
  }

  /**
   * Runs `request` when it is its turn, within this call if there is room. Rejects as that does, or
   * with `busy` when the time is over first.
   */
  async run<T>(deadline: Deadline, request: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) throw this.#closed;
    if (this.#running < this.#atOnce) this.#running += 1;
    else await this.#turn(deadline);
    try {
      return await request();
    } finally {
      this.#handOn();
    }
  }

  /** Whoever waits for a turn gets none. What runs goes on. */
  close(failure: RpcFailure): void {
    this.#closed = failure;
    for (const { fail } of this.#waiting) fail(failure);
  }

  /** Whoever ends hands its turn on, so nobody comes in between. */
  #turn(deadline: Deadline): Promise<void> {
    const waitMs = deadline.leftMs;
    return new Promise((resolve, reject) => {
      const end = (): void => {
        timer.cancel();
        this.#waiting.delete(waiting);
      };
      const waiting: Waiting = {
        go: () => (end(), resolve()),
        fail: (failure) => (end(), reject(failure)),
      };
      const late = (): void =>
        waiting.fail(
          new RpcFailure(
            "busy",
            `no turn within ${Math.round(waitMs)} ms, behind other requests of this process`,
          ),
        );
      const timer = this.#clock.schedule(waitMs, late);
      this.#waiting.add(waiting);
    });
  }

  #handOn(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#running -= 1;
    else next.go();
  }
}
