import { parseItem } from "structured-headers";

const longestKey = 255;
/**
 * A key without quotes: what may stand in a URL, and so every UUID, ULID and base64. It has no
 * comma, since two joined fields are no key. It does not begin as another kind of Structured Field
 * does.
 */
const unquoted = /^[\w/+][\w.~:/?@!$&'()*+=%-]*$/;

/**
 * The key in the field lines of `Idempotency-Key`, or why there is none. Strictly, a key is a
 * Structured-Field string (RFC 9651). Its parameters mean nothing, and are ignored. With
 * `acceptUnquoted` a bare key is accepted, too; `"a"` and `a` are then the same key.
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
