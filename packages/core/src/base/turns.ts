interface Waiting {
  readonly go: () => void;
  readonly fail: (error: Error) => void;
}

/**
 * Lets so many run at once; the others wait for their turn, in order. So ten thousand requests with
 * a second each are sent as fast as the other side answers, and each has its second from when it is
 * sent. All at once, most of them would spend it in a queue.
 */
export class Turns {
  readonly #atOnce: number;
  readonly #waiting = new Set<Waiting>();
  #running = 0;

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** Runs `work`: within this call, if there is room. Settles as the work does. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#atOnce) this.#running += 1;
    // Whoever ends hands its turn on, so nobody can come in between.
    else await new Promise<void>((go, fail) => this.#waiting.add({ go, fail }));
    try {
      return await work();
    } finally {
      this.#handOn();
    }
  }

  /** Whoever still waits for its turn does not get one. What runs goes on. */
  drop(error: Error): void {
    for (const { fail } of this.#waiting) fail(error);
    this.#waiting.clear();
  }

  #handOn(): void {
    const [next] = this.#waiting;
    if (next === undefined) return void (this.#running -= 1);
    this.#waiting.delete(next);
    next.go();
  }
}
