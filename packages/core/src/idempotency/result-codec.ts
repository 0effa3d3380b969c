/** Turns results into text that a store keeps, and back. */
export interface ResultCodec {
  /** Throws on a value that would not come back as it is. */
  encode(value: unknown): string;
  /** What comes back is untrusted: throws on anything that `encode` does not write. */
  decode(text: string): unknown;
}

const version = "1";
/** A deeper value is refused, both ways, before the stack overflows. */
const deepest = 100;

/**
 * The codec that is used by default. It writes JSON, and keeps what JSON drops: undefined, bigint,
 * Date, bytes, NaN, the infinities and -0. An object with a member `$` stands for such a value.
 * Instances of classes are refused, rather than flattened in silence.
 */
export const resultCodec: ResultCodec = {
  encode: (value) => version + JSON.stringify(pack(value, 0)),
  decode: (text) => {
    if (!text.startsWith(version)) throw new TypeError("not a result of a version that is known here");
    return unpack(JSON.parse(text.slice(version.length)), 0);
  },
};

type Tagged = { readonly $: string; readonly v?: unknown };

function pack(value: unknown, depth: number): unknown {
  if (depth > deepest) throw new TypeError(`nested deeper than ${deepest}, or within itself`);
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (value === undefined) return { $: "undefined" };
  if (typeof value === "bigint") return { $: "bigint", v: String(value) };
  if (typeof value === "number")
    return Number.isFinite(value) && !Object.is(value, -0)
      ? value
      : { $: "number", v: Object.is(value, -0) ? "-0" : String(value) };
  if (typeof value !== "object") throw new TypeError(`a ${typeof value} cannot be stored`);
  if (value instanceof Date) return { $: "date", v: Number.isNaN(value.getTime()) ? null : value.getTime() };
  if (value instanceof Uint8Array) return { $: "bytes", v: Buffer.from(value).toString("base64") };
  if (Array.isArray(value)) return value.map((item) => pack(item, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null)
    throw new TypeError(`an instance of ${value.constructor.name} cannot be stored`);
  const members = Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, pack(member, depth + 1)]),
  );
  return Object.hasOwn(members, "$") ? { $: "object", v: members } : members;
}

function unpack(packed: unknown, depth: number): unknown {
  if (depth > deepest) throw new TypeError(`nested deeper than ${deepest}`);
  if (typeof packed !== "object" || packed === null) return packed;
  if (Array.isArray(packed)) return packed.map((item) => unpack(item, depth + 1));
  return Object.hasOwn(packed, "$") ? untag(packed as Tagged, depth) : members(packed, depth);
}

/**
 * `fromEntries` defines members, and never assigns them: a member `__proto__` is just a member, and
 * pollutes nothing.
 */
function members(packed: object, depth: number): object {
  return Object.fromEntries(
    Object.entries(packed).map(([name, member]) => [name, unpack(member, depth + 1)]),
  );
}

function untag({ $: tag, v }: Tagged, depth: number): unknown {
  if (tag === "undefined") return undefined;
  if (tag === "bigint" && typeof v === "string" && /^-?\d{1,10000}$/.test(v)) return BigInt(v);
  if (tag === "number" && typeof v === "string" && /^(NaN|-?Infinity|-0)$/.test(v)) return Number(v);
  if (tag === "date" && (v === null || typeof v === "number")) return new Date(v ?? Number.NaN);
  if (tag === "bytes" && typeof v === "string") return new Uint8Array(Buffer.from(v, "base64"));
  if (tag === "object" && typeof v === "object" && v !== null && !Array.isArray(v)) return members(v, depth);
  throw new TypeError("a stored value of an unknown kind");
}
