import { expect, test } from "vitest";

import { statusPolicy } from "./status-policy.ts";

test.each([
  [[200, 201, 202, 204, 206, 301, 303, 304], "stored"],
  [[400, 402, 404, 405, 406, 410, 411, 412, 413, 414, 415, 416, 417, 418, 422, 451], "stored"],
  [[401, 403, 407, 408, 409, 421, 423, 424, 425, 429], "released"],
  [[500, 501, 502, 503, 504, 599], "unknown"],
])("%j: %s", (statuses, disposition) => {
  const policy = statusPolicy("unknown");
  expect(statuses.filter((status) => policy(status) !== disposition)).toEqual([]);
});

test("5xx may be released, and nothing else changes", () => {
  const [kept, released] = [statusPolicy("unknown"), statusPolicy("released")];
  const all = Array.from({ length: 400 }, (_, i) => 200 + i);
  expect(all.filter((status) => kept(status) !== released(status))).toEqual(
    all.filter((status) => status >= 500),
  );
  expect(released(500)).toBe("released");
});
