import { resultCodec } from "@leasehold/core";
import { expect, test } from "vitest";

import { headerKeeper } from "./kept-headers.ts";
import { responseCodec } from "./response-codec.ts";

const codec = responseCodec(headerKeeper());
const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);

test("status, kept headers and bytes come back as they were", () => {
  const text = codec.encode({
    status: 201,
    headers: [
      ["content-type", "image/png"],
      ["Link", "<a>"],
      ["Link", "<b>"],
      ["Set-Cookie", "a=b"],
    ],
    body: bytes,
    unkept: null,
    unhandled: false,
  });
  expect(text).not.toContain("a=b");
  expect(codec.decode(text)).toEqual({
    status: 201,
    headers: [
      ["content-type", "image/png"],
      ["Link", "<a>"],
      ["Link", "<b>"],
    ],
    body: bytes,
  });
});

test("a response whose body is not in memory is refused, so that it counts as executed and not kept", () => {
  expect(() => codec.encode({ status: 200, headers: [], body: null, unkept: "stream" })).toThrow(/body/);
});

test("a header that is not kept any more is left out of what was stored before", () => {
  const text = responseCodec(headerKeeper(["x-a"])).encode({
    status: 200,
    headers: [["x-a", "1"]],
    body: bytes,
  });
  expect(codec.decode(text)).toEqual({ status: 200, headers: [], body: bytes });
});

test.each<[string, unknown]>([
  ["nothing", undefined],
  ["a number", 7],
  ["another shape", { amount: 1 }],
  ["a status below 200", { status: 101, headers: [], body: bytes }],
  ["a status above 599", { status: 600, headers: [], body: bytes }],
  ["a status that is none", { status: "200", headers: [], body: bytes }],
  ["a body that is text", { status: 200, headers: [], body: "hi" }],
  ["no headers", { status: 200, body: bytes }],
  ["headers by name", { status: 200, headers: { etag: "1" }, body: bytes }],
  ["a field of three", { status: 200, headers: [["etag", "1", "2"]], body: bytes }],
  [
    "a value that begins another header",
    { status: 200, headers: [["etag", "1\r\nset-cookie: a=b"]], body: bytes },
  ],
  [
    "a name that begins another header",
    { status: 200, headers: [["etag: 1\r\nset-cookie", "a=b"]], body: bytes },
  ],
  ["a value beyond latin1", { status: 200, headers: [["etag", "✓"]], body: bytes }],
])("a hostile record is refused: %s", (_, value) => {
  expect(() => codec.decode(resultCodec.encode(value))).toThrow("not a stored response");
});

test("a stored cookie is never replayed, however it came there", () => {
  const text = resultCodec.encode({ status: 200, headers: [["set-cookie", "session=1"]], body: bytes });
  expect(codec.decode(text)).toEqual({ status: 200, headers: [], body: bytes });
});

test("members of other names pollute nothing", () => {
  const text = `1{"status":200,"headers":[],"body":{"$":"bytes","v":"YQ=="},"__proto__":{"admin":true}}`;
  expect(codec.decode(text)).toEqual({ status: 200, headers: [], body: new Uint8Array([97]) });
  expect(({} as { admin?: boolean }).admin).toBeUndefined();
});
