import { styleText } from "node:util";
import { nowMs } from "./now-ms.ts";

type Style = Parameters<typeof styleText>[0];

interface Entry {
  readonly atMs: number;
  readonly who: string;
  readonly what: string;
  /** Null: uneventful. */
  readonly style: Style | null;
}

/** Several processes report a little out of order: a line is printed once it is this old. */
const settleMs = 60;

/** Prints what happens, in order. Without colours if NO_COLOR is set, or this is no terminal. */
export class Timeline {
  readonly #print: (line: string) => void;
  readonly #startMs = nowMs();
  #pending: Entry[] = [];
  /** Since the last line. */
  #uneventful: Entry[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(print: (line: string) => void = console.log) {
    this.#print = print;
  }

  say(who: string, what: string, options: { atMs?: number; style?: Style } = {}): void {
    this.#add({ atMs: options.atMs ?? nowMs(), who, what, style: options.style ?? "reset" });
  }

  /** Not worth a line of its own: a series of them becomes one line, with the last one's words. */
  uneventful(atMs: number, what: string): void {
    this.#add({ atMs, who: "…", what, style: null });
  }

  /** Prints what is left. */
  end(): void {
    clearTimeout(this.#timer);
    this.#flush(Infinity);
    this.#condense();
  }

  #add(entry: Entry): void {
    this.#pending.push(entry);
    this.#flushSoon();
  }

  #flushSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flush(nowMs() - settleMs);
      if (this.#pending.length > 0) this.#flushSoon();
    }, settleMs);
  }

  #flush(untilMs: number): void {
    this.#pending.sort((a, b) => a.atMs - b.atMs);
    const later = this.#pending.findIndex(({ atMs }) => atMs > untilMs);
    const settled = this.#pending.splice(0, later === -1 ? this.#pending.length : later);
    for (const entry of settled) {
      if (entry.style === null) {
        this.#uneventful.push(entry);
        continue;
      }
      this.#condense();
      this.#line(entry, styleText(entry.style, entry.what));
    }
  }

  #condense(): void {
    const count = this.#uneventful.length;
    const last = this.#uneventful.at(-1);
    if (last === undefined) return;
    this.#uneventful = [];
    this.#line(last, styleText("dim", count === 1 ? last.what : `${count} times, at last: ${last.what}`));
  }

  #line({ atMs, who }: Entry, what: string): void {
    const seconds = `${((atMs - this.#startMs) / 1000).toFixed(2)} s`.padStart(8);
    this.#print(`${styleText("dim", seconds)}  ${styleText("bold", who.padEnd(8))}  ${what}`);
  }
}
