/**
 * Which key names of a line this process uses at present. A name is used again once its last claim
 * is surely over, so a line sees only as many names of a process as that had claims there at once,
 * however many come and go.
 */
export class Slots {
  readonly #lines = new Map<string, { used: number; next: number; free: number[] }>();

  take(line: string): number {
    let slots = this.#lines.get(line);
    if (slots === undefined) {
      slots = { used: 0, next: 0, free: [] };
      this.#lines.set(line, slots);
    }
    slots.used += 1;
    return slots.free.pop() ?? slots.next++;
  }

  free(line: string, slot: number): void {
    const slots = this.#lines.get(line);
    if (slots === undefined) return;
    slots.used -= 1;
    if (slots.used === 0) this.#lines.delete(line);
    else slots.free.push(slot);
  }
}
