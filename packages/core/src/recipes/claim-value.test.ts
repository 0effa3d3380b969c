import { hostname } from "node:os";

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { decodeClaimValue, encodeClaimValue } from "./claim-value.ts";

describe("the value of a claim", () => {
  it("comes back as it was", () => {
    const metadata = { job: "nightly", "weird key": "\u{1f600}\u0000\ud800" };
    const value = "http://host-7:8080";
    const origin = decodeClaimValue(
      encodeClaimValue({ sinceMs: 7.5, label: "worker", metadata, candidate: "c", value }),
    );
    const said = { host: hostname(), pid: process.pid, sinceMs: 7, label: "worker", candidate: "c", value };
    expect(origin).toMatchObject(said);
    expect({ ...origin?.metadata }).toEqual(metadata);
  });

  it("is null where nothing was given", () => {
    const nothing = { label: null, candidate: null, value: null, metadata: {} };
    expect(decodeClaimValue(encodeClaimValue({ sinceMs: 0 }))).toMatchObject(nothing);
  });

  it("is refused when its metadata is not flat text, or is too large", () => {
    expect(() => encodeClaimValue({ sinceMs: 0, metadata: { a: 1 as unknown as string } })).toThrow(
      /metadata\.a must be a string/,
    );
    expect(() => encodeClaimValue({ sinceMs: 0, metadata: { a: "x".repeat(4_096) } })).toThrow(/4096 bytes/);
  });
});

describe("a stored value that is read back", () => {
  const hostile: readonly string[] = [
    "",
    "null",
    "[]",
    "7",
    '"text"',
    "{",
    "{}",
    '{"v":2,"host":"h","pid":1,"since":2,"meta":{}}',
    '{"v":1,"host":7,"pid":1,"since":2,"meta":{}}',
    '{"v":1,"host":"h","pid":1.5,"since":2,"meta":{}}',
    '{"v":1,"host":"h","pid":1,"since":2,"meta":[]}',
    '{"v":1,"host":"h","pid":1,"since":2,"meta":{"a":{}}}',
    '{"v":1,"host":"h","pid":1,"since":-2,"meta":{}}',
    '{"v":1,"host":"h","pid":1,"meta":{}}',
    '{"v":1,"host":"h","pid":1,"since":2,"value":7}',
    '{"v":1,"host":"h","pid":1,"since":2,"candidate":null}',
    "[".repeat(4_000),
    `{"v":1,"host":"h","pid":1,"since":2,"meta":{"a":"${"x".repeat(10_000_000)}"}}`,
  ];

  it.each(hostile.map((text) => [text.slice(0, 50), text] as const))(
    "is null unless this SDK wrote it: %s",
    (_, text) => {
      expect(decodeClaimValue(text)).toBe(null);
    },
  );

  it("pollutes no prototype", () => {
    const origin = decodeClaimValue(
      '{"v":1,"host":"h","pid":1,"since":2,"meta":{"__proto__":"x","constructor":"y"}}',
    );
    expect(Object.getPrototypeOf(origin?.metadata)).toBe(null);
    expect(Object.keys(origin?.metadata ?? {})).toEqual(["__proto__", "constructor"]);
    expect(({} as Record<string, unknown>)["x"]).toBe(undefined);
  });

  it("never makes it throw, whatever the text", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void decodeClaimValue(text)));
  });
});
