/** Longest text that one node says to the others, in UTF-16 code units. */
const maxTextLength = 200;

/**
 * A text for people, such as a reason: short, of one line. What was read from a store is untrusted, and ends in logs and
 * terminals: control characters are blanked, and what is too long is cut.
 */
export function plainText(text: string): string {
  const line = text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, " ");
  return (line.length > maxTextLength ? `${line.slice(0, maxTextLength - 1)}…` : line).toWellFormed();
}

/** Reads a JSON record that somebody else wrote; null when it is anything else. Throws nothing. */
export function parseRecord(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const parsed: unknown = JSON.parse(text);
    const isRecord = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
    return isRecord ? (parsed as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** For what was written by a later version, or by somebody else. */
export function unreadable(what: string): Error {
  return new Error(`The store holds ${what} that this version cannot read: it counts as not said.`);
}
