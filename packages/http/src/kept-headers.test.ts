import { expect, test } from "vitest";

import { headerKeeper } from "./kept-headers.ts";

test("keeps what is listed, whatever its case, and each value of it", () => {
  const keep = headerKeeper(["X-Total", "link"]);
  expect(
    keep([
      ["x-total", "3"],
      ["Link", "<a>"],
      ["Link", "<b>"],
      ["x-request-id", "1"],
      ["set-cookie", "a=b"],
      ["date", "today"],
    ]),
  ).toEqual([
    ["x-total", "3"],
    ["Link", "<a>"],
    ["Link", "<b>"],
  ]);
});

test("keeps what the body cannot be read without, even if nothing is listed", () => {
  const headers = [
    ["Content-Type", "text/plain"],
    ["Content-Encoding", "gzip"],
    ["Location", "/1"],
  ] as const;
  expect(headerKeeper([])(headers)).toEqual(headers.slice(0, 2));
  expect(headerKeeper()(headers)).toEqual(headers);
});

test.each(["Set-Cookie", "set-cookie2", "Connection", "Transfer-Encoding", "Content-Length", "a b", "", 7])(
  "refuses %s",
  (name) => {
    expect(() => headerKeeper([name as string])).toThrow(/keepHeaders must/);
  },
);

test("says why not Set-Cookie", () => {
  expect(() => headerKeeper(["Set-Cookie"])).toThrow(
    expect.objectContaining({ code: "INVALID_ARGUMENT", message: expect.stringMatching(/session/) }),
  );
});
