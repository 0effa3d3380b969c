import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";

import { expect, test } from "vitest";

import { fieldsOf, setHeaders } from "./header-fields.ts";

test.each([
  ["an object", { etag: '"1"', "content-length": 5, link: ["<a>", "<b>"], gone: undefined }],
  ["names and values by turns", ["etag", '"1"', "content-length", 5, "link", "<a>", "link", "<b>"]],
  [
    "pairs",
    [
      ["etag", '"1"'],
      ["content-length", 5],
      ["link", ["<a>", "<b>"]],
    ] as never,
  ],
])("reads %s", (_, headers) => {
  expect(fieldsOf(headers)).toEqual([
    ["etag", '"1"'],
    ["content-length", "5"],
    ["link", "<a>"],
    ["link", "<b>"],
  ]);
});

test("reads nothing", () => {
  expect(fieldsOf(undefined)).toEqual([]);
  expect(fieldsOf([])).toEqual([]);
  expect(fieldsOf({})).toEqual([]);
});

test("sets fields in place of those of the same name, whatever its case, all values of it", () => {
  const response = new ServerResponse(new IncomingMessage(new Socket()));
  response.setHeader("Link", "<old>");
  response.setHeader("x-a", "1");
  setHeaders(response, [
    ["link", "<a>"],
    ["LINK", "<b>"],
    ["etag", '"1"'],
  ]);
  expect({ ...response.getHeaders() }).toEqual({ link: ["<a>", "<b>"], "x-a": "1", etag: '"1"' });
});
