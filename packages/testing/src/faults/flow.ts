/** One of the two ways through the proxy. */
export type Direction = "toServer" | "toClient";

/** What one way of the proxy did so far, in bytes, over all its connections. */
export interface FlowCounters {
  /** Read from the sending side. */
  received: number;
  /** Written to the receiving side. */
  delivered: number;
  /** Held back at this moment by `hold` (0 after a release). */
  held: number;
  /**
   * Thrown away: by a blackhole, a swallowed reply, or a connection that went away with bytes under
   * way.
   */
  dropped: number;
}

/** The rule of one way, shared by all flows of that way, and changed while they live. */
export interface FlowRule {
  mode: "pass" | "hold" | "drop";
  latencyMs: number;
  /** In mode hold: a connection is held from its first chunk that matches. */
  match: ((chunk: Buffer) => boolean) | undefined;
  /** In mode hold: how many more connections may be held. */
  remaining: number;
}

/** What travels: bytes, an orderly end (FIN) or a reset (RST). */
export type FlowItem = { kind: "bytes"; bytes: Buffer } | { kind: "end" } | { kind: "reset" };

interface QueuedItem {
  readonly item: FlowItem;
  readonly dueMs: number;
  readonly held: boolean;
}

/**
 * One way of one connection: a queue in order, whose head waits for its latency, for the release of
 * a hold, or (an end behind held bytes) for the server's answer.
 */
export class FaultFlow {
  readonly #rule: FlowRule;
  readonly #counters: FlowCounters;
  readonly #deliver: (item: FlowItem) => void;
  readonly #endWaitsForAnswer: boolean;
  #queue: QueuedItem[] = [];
  #timer: NodeJS.Timeout | undefined;
  #holding = false;
  /** In bytes: how much of what is held may go all the same. */
  #allowance = 0;
  #unanswered = false;
  #lost = false;
  #closed = false;

  constructor(
    rule: FlowRule,
    counters: FlowCounters,
    options: { deliver: (item: FlowItem) => void; endWaitsForAnswer: boolean },
  ) {
    this.#rule = rule;
    this.#counters = counters;
    this.#deliver = options.deliver;
    this.#endWaitsForAnswer = options.endWaitsForAnswer;
  }

  /** True once something was dropped: what remains of this stream is corrupt. */
  get lost(): boolean {
    return this.#lost;
  }

  /** True while something waits to be delivered. */
  get pending(): boolean {
    return this.#queue.length > 0;
  }

  /** Takes what the sending side sent. */
  receive(item: FlowItem): void {
    if (item.kind === "bytes") this.#counters.received += item.bytes.length;
    if (this.#closed || this.#lost || this.#rule.mode === "drop") {
      this.#drop(item);
      return;
    }
    if (!this.#holding) this.#holding = this.#isTaken(item);
    if (this.#holding && item.kind === "bytes") this.#counters.held += item.bytes.length;
    const { latencyMs } = this.#rule;
    const dueMs = latencyMs > 0 ? performance.now() + latencyMs : 0;
    this.#queue.push({ item, dueMs, held: this.#holding });
    this.#pump();
  }

  /** The server answered: an end that waited behind bytes once held may now follow them. */
  answered(): void {
    this.#unanswered = false;
    this.#pump();
  }

  /** The rule has changed: drops, lets go, or goes on holding what is queued. */
  ruleChanged(): void {
    if (this.#rule.mode === "drop") this.#dropQueue();
    if (this.#rule.mode !== "hold") this.#endHold();
    this.#pump();
  }

  /** Delivers what was held back, or its first `bytes`, and goes on holding the rest. */
  release(bytes: number): void {
    if (bytes === Infinity) this.#endHold();
    else this.#allowance += bytes;
    this.#pump();
  }

  /** Forgets the queue and its timer. */
  close(): void {
    this.#dropQueue();
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #isTaken(item: FlowItem): boolean {
    const { mode, match, remaining } = this.#rule;
    if (mode !== "hold" || remaining <= 0) return false;
    // An end carries no bytes to match. A hold of everything takes it, a chosen hold does not waste
    // itself on it.
    const taken = item.kind === "bytes" ? (match?.(item.bytes) ?? true) : !match && remaining === Infinity;
    if (taken) this.#rule.remaining -= 1;
    return taken;
  }

  #pump(): void {
    clearTimeout(this.#timer);
    for (let head = this.#queue[0]; head; head = this.#queue[0]) {
      if (head.held && this.#holding && !this.#allows(head.item)) return;
      if (head.held && this.#unanswered && head.item.kind !== "bytes") return;
      const waitMs = this.#rule.latencyMs > 0 ? head.dueMs - performance.now() : 0;
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#pump(), Math.ceil(waitMs));
        return;
      }
      this.#queue.shift();
      this.#pass(head);
    }
  }

  /**
   * Whether the head of the queue is let go in spite of the hold; cuts it in two where the
   * allowance ends.
   */
  #allows(head: FlowItem): boolean {
    if (head.kind !== "bytes" || this.#allowance === 0) return false;
    const rest = head.bytes.subarray(this.#allowance);
    if (rest.length > 0) {
      head.bytes = head.bytes.subarray(0, this.#allowance);
      this.#queue.splice(1, 0, { item: { kind: "bytes", bytes: rest }, dueMs: 0, held: true });
    }
    this.#allowance -= head.bytes.length;
    return true;
  }

  #endHold(): void {
    this.#holding = false;
    this.#allowance = 0;
  }

  #pass({ item, held }: QueuedItem): void {
    if (item.kind === "bytes") {
      this.#counters.delivered += item.bytes.length;
      if (held) {
        this.#counters.held -= item.bytes.length;
        this.#unanswered = this.#endWaitsForAnswer;
      }
    }
    this.#deliver(item);
  }

  #drop(item: FlowItem): void {
    this.#lost = true;
    if (item.kind === "bytes") this.#counters.dropped += item.bytes.length;
  }

  #dropQueue(): void {
    const queue = this.#queue;
    this.#queue = [];
    for (const { item, held } of queue) {
      if (held && item.kind === "bytes") this.#counters.held -= item.bytes.length;
      this.#drop(item);
    }
  }
}
