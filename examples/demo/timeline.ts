import { styleText } from "node:util";
import { nowMs } from "./worker.ts";

type Style = Parameters<typeof styleText>[0];

/** An uneventful withdrawal: many of these become one line. */
export interface Uneventful {
  readonly token: bigint;
  readonly balance: number;
}

type Entry = { readonly atMs: number } & (
  { readonly who: string; readonly what: string; readonly style: Style } | Uneventful
);

/** What comes from several processes arrives out of order by a little: a line is printed once it is this old. */
const settleMs = 60;

/** Prints what happens, in the order in which it happened; no colours where the output is no terminal, or NO_COLOR is set. */
export class Timeline {
  readonly #print: (line: string) => void;
  readonly #startMs = nowMs();
  #pending: Entry[] = [];
  #uneventful: (Uneventful & { readonly atMs: number })[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(print: (line: string) => void = console.log) {
    this.#print = print;
  }

  say(who: string, what: string, options: { atMs?: number; style?: Style } = {}): void {
    this.#add({ atMs: options.atMs ?? nowMs(), who, what, style: options.style ?? "reset" });
  }

  uneventful(atMs: number, withdrawal: Uneventful): void {
    this.#add({ atMs, ...withdrawal });
  }

  /** Prints what is left. */
  end(): void {
    clearTimeout(this.#timer);
    this.#flush(Infinity);
    this.#summarise();
  }

  #add(entry: Entry): void {
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

  #show(entry: Entry): void {
    if (!("who" in entry)) {
      this.#uneventful.push(entry);
      return;
    }
    this.#summarise();
    this.#line(entry.atMs, entry.who, styleText(entry.style, entry.what));
  }

  #summarise(): void {
    const [first, last] = [this.#uneventful[0], this.#uneventful.at(-1)];
    if (first === undefined || last === undefined) return;
    const count = this.#uneventful.length;
    this.#uneventful = [];
    const tokens = count === 1 ? `token ${first.token}` : `tokens ${first.token} to ${last.token}`;
    const what = `${count} withdrawal${count === 1 ? "" : "s"}, ${tokens}, balance ${last.balance}`;
    this.#line(last.atMs, "…", styleText("dim", what));
  }

  #line(atMs: number, who: string, what: string): void {
    const seconds = `${((atMs - this.#startMs) / 1000).toFixed(2)} s`.padStart(8);
    this.#print(`${styleText("dim", seconds)}  ${styleText("bold", who.padEnd(8))}  ${what}`);
  }
}
