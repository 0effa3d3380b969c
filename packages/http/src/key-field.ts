import { parseItem } from "structured-headers";

const longestKey = 255;
/**
 * Without quotes: what may stand in a URL, and so every UUID, ULID and base64. No comma, for two fields that were joined are no
 * key; and not what begins another kind of Structured Field.
 */
const unquoted = /^[\w/+][\w.~:/?@!$&'()*+=%-]*$/;

/**
 * The key in the field lines of `Idempotency-Key`, or why there is none. Strictly a Structured-Field string (RFC 9651); its
 * parameters mean nothing, and are ignored. With `acceptUnquoted` a bare key, too; `"a"` and `a` are then the same key.
 */
export function readKey(
  lines: readonly string[],
  { acceptUnquoted }: { readonly acceptUnquoted: boolean },
): { readonly key: string } | "missing" | "malformed" {
  const [line, ...more] = lines;
  if (line === undefined) return "missing";
  // Joined by a comma, as RFC 9651 has it, two halves of a string would make a whole one.
  if (more.length > 0) return "malformed";
  const text = line.trim();
  const key = acceptUnquoted && unquoted.test(text) ? text : parseString(text);
  return key === null || key === "" || key.length > longestKey ? "malformed" : { key };
}

function parseString(text: string): string | null {
  try {
    const [value] = parseItem(text);
    return typeof value === "string" ? value : null;
  } catch {
    return null;
  }
}
