import { styleText } from "node:util";
import { nowMs } from "./now-ms.ts";

type Style = Parameters<typeof styleText>[0];

type Entry<Uneventful> = { readonly atMs: number } & (
  { readonly who: string; readonly what: string; readonly style: Style } | { readonly uneventful: Uneventful }
);

export interface TimelineOptions<Uneventful> {
  /** Makes one line of many things that were not worth one each. */
  readonly summarise?: (uneventful: readonly Uneventful[]) => string;
  readonly print?: (line: string) => void;
}

/** What comes from several processes arrives out of order by a little: a line is printed once it is this old. */
const settleMs = 60;

/** Prints what happens, in the order in which it happened; no colours where the output is no terminal, or NO_COLOR is set. */
export class Timeline<Uneventful = never> {
  readonly #print: (line: string) => void;
  readonly #summary: (uneventful: readonly Uneventful[]) => string;
  readonly #startMs = nowMs();
  #pending: Entry<Uneventful>[] = [];
  #uneventful: Uneventful[] = [];
  #lastUneventfulMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor({ summarise = () => "", print = console.log }: TimelineOptions<Uneventful> = {}) {
    this.#print = print;
    this.#summary = summarise;
  }

  say(who: string, what: string, options: { atMs?: number; style?: Style } = {}): void {
    this.#add({ atMs: options.atMs ?? nowMs(), who, what, style: options.style ?? "reset" });
  }

  uneventful(atMs: number, uneventful: Uneventful): void {
    this.#add({ atMs, uneventful });
  }

  /** Prints what is left. */
  end(): void {
    clearTimeout(this.#timer);
    this.#flush(Infinity);
    this.#summarise();
  }

  #add(entry: Entry<Uneventful>): void {
    this.#pending.push(entry);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flush(nowMs() - settleMs);
    }, settleMs);
  }

  #flush(untilMs: number): void {
    this.#pending.sort((a, b) => a.atMs - b.atMs);
    while (this.#pending[0] !== undefined && this.#pending[0].atMs <= untilMs) {
      const entry = this.#pending.shift();
      if (entry !== undefined) this.#show(entry);
    }
    if (this.#pending.length > 0 && this.#timer === undefined && untilMs !== Infinity)
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#flush(nowMs() - settleMs);
      }, settleMs);
  }

  #show(entry: Entry<Uneventful>): void {
    if ("uneventful" in entry) {
      this.#uneventful.push(entry.uneventful);
      this.#lastUneventfulMs = entry.atMs;
      return;
    }
    this.#summarise();
    this.#line(entry.atMs, entry.who, styleText(entry.style, entry.what));
  }

  #summarise(): void {
    if (this.#uneventful.length === 0) return;
    const what = this.#summary(this.#uneventful);
    this.#uneventful = [];
    this.#line(this.#lastUneventfulMs, "…", styleText("dim", what));
  }

  #line(atMs: number, who: string, what: string): void {
    const seconds = `${((atMs - this.#startMs) / 1000).toFixed(2)} s`.padStart(8);
    this.#print(`${styleText("dim", seconds)}  ${styleText("bold", who.padEnd(8))}  ${what}`);
  }
}
