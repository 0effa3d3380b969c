import { expect, test } from "vitest";

import { comparable } from "./payload.ts";

const json = "application/json";
const bytes = (text: string): Uint8Array => Buffer.from(text);

test("JSON is compared by what it says, parsed or not", () => {
  const parsed = comparable({ a: 1, b: [true, null] }, json);
  expect(comparable(bytes('{ "b": [true, null], "a": 1.0 }'), json)).toEqual(parsed);
  expect(comparable('{"b":[true,null],"a":1}', "application/merge-patch+json; charset=utf-8")).toEqual(
    parsed,
  );
  expect(comparable(bytes('{"b":[null,true],"a":1}'), json)).not.toEqual(parsed);
});

test("anything else is compared as bytes, JSON that is none included", () => {
  const text = '{"a":1, "b":2}';
  expect(comparable(bytes(text), "text/plain")).toEqual(comparable(text, null));
  expect(comparable(bytes(text), "text/plain")).not.toEqual(comparable(bytes('{"b":2,"a":1}'), "text/plain"));
  expect(comparable(bytes('{"a":'), json)).not.toEqual(comparable(bytes('{"b":'), json));
  expect(comparable(bytes("\u00ff"), json)).toEqual(comparable(bytes("\u00ff"), null));
  expect(comparable(Uint8Array.of(0xff), json)).not.toEqual(comparable(Uint8Array.of(0xfe), json));
});

test("no body is no body, however a parser says so", () => {
  const none = comparable(undefined, null);
  expect(comparable(null, json)).toEqual(none);
  expect(comparable("", json)).toEqual(none);
  expect(comparable(new Uint8Array(0), null)).toEqual(none);
  expect(comparable({}, json)).not.toEqual(none);
  expect(comparable(bytes("null"), json)).not.toEqual(none);
});

test("deep nesting is compared as it came, and thousands deep not at all", () => {
  const nested = (depth: number, core: string): string => "[".repeat(depth) + core + "]".repeat(depth);
  for (const of of [(text: string): unknown => bytes(text), (text: string): unknown => JSON.parse(text)]) {
    const one = comparable(of(nested(1_000, "1")), json);
    expect(comparable(of(nested(1_000, "1")), json)).toEqual(one);
    expect(comparable(of(nested(1_000, "2")), json)).not.toEqual(one);
    expect(() => comparable(of(nested(200_000, "1")), json)).toThrow(RangeError);
  }
});

test("what a parser made that JSON cannot say is an error of whoever wrote it", () => {
  const upload = { file: { filename: "a", toBuffer: () => Buffer.alloc(1) } };
  expect(() => comparable(upload, "multipart/form-data; boundary=1")).toThrow(/a function/);
});
