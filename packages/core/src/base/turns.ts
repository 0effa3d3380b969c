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

  /** Runs `work`, within this call if there is room. Settles as the work does. */
  run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#atOnce) return this.#runLater(work);
    this.#running += 1;
    return this.#follow(work());
  }

  async #runLater<T>(work: () => Promise<T>): Promise<T> {
    await new Promise<void>((go, fail) => this.#waiting.add({ go, fail }));
    // Whoever ended handed its turn on, so nobody came in between.
    return this.#follow(work());
  }

  #follow<T>(work: Promise<T>): Promise<T> {
    work.then(this.#handOn, this.#handOn);
    return work;
  }

  /** Whoever still waits for its turn does not get one. What runs goes on. */
  drop(error: Error): void {
    for (const { fail } of this.#waiting) fail(error);
    this.#waiting.clear();
  }

  readonly #handOn = (): void => {
    const [next] = this.#waiting;
    if (next === undefined) return void (this.#running -= 1);
    this.#waiting.delete(next);
    next.go();
  };
}
