/**
 * A name as a key segment. Letters, digits and `. _ : -` stay. Every other UTF-16 code unit becomes
 * `%` and four hexadecimal digits.
 *
 * Two different strings never meet, since an escape has a fixed length and `%` itself is escaped.
 * No `/`, brace, glob character or NUL survives: a name can neither leave its prefix, nor move a
 * hash tag, nor match like a pattern. It works on code units, not on UTF-8, since UTF-8 maps all
 * lone surrogates to one replacement.
 */
export function encodeName(name: string): string {
  return name.replace(/[^A-Za-z0-9._:-]/g, (unit) => `%${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
