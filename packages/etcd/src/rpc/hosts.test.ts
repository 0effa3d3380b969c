import { isLeaseholdError } from "@leasehold/core";
import { describe, expect, test } from "vitest";

import { parseHosts } from "./hosts.ts";

const urls = (hosts: unknown): string[] => parseHosts(hosts).map(({ url }) => url);

describe("taken as meant", () => {
  test.each<[unknown, string[]]>([
    ["http://a:2379", ["http://a:2379"]],
    ["https://a:2379", ["https://a:2379"]],
    ["a:2379", ["http://a:2379"]],
    [" http://a:2379/ ", ["http://a:2379"]],
    ["HTTP://a:02379", ["http://a:2379"]],
    ["http://[::1]:2379", ["http://[::1]:2379"]],
    ["http://a:1,http://b:2, c:3", ["http://a:1", "http://b:2", "http://c:3"]],
    [
      ["http://a:1", "b:2"],
      ["http://a:1", "http://b:2"],
    ],
    [["http://a:1", "a:1/"], ["http://a:1"]],
  ])("%j", (hosts, expected) => expect(urls(hosts)).toEqual(expected));

  test("what stays on this machine is known as such", () => {
    const loopback = (host: string): boolean | undefined => parseHosts(host)[0]?.loopback;
    for (const host of ["localhost:1", "127.0.0.1:1", "127.9.9.9:1", "[::1]:1"])
      expect(loopback(host)).toBe(true);
    for (const host of ["10.0.0.1:1", "localhost.example:1", "1127.0.0.1:1", "[::2]:1"])
      expect(loopback(host)).toBe(false);
  });
});

describe("refused, with the reason", () => {
  test.each<[unknown, RegExp]>([
    [undefined, /must be a text, or a list/],
    [5, /must be a text, or a list/],
    [[], /must be a text, or a list/],
    ["", /an empty text/],
    ["http://a:1,", /an empty text/],
    [[undefined], /type undefined/],
    [[["http://a:1"]], /type object/],
    ["ftp://a:1", /scheme/],
    ["dns:///a:1", /scheme/],
    ["ipv4:127.0.0.1:2379", /no address/],
    ["http://a", /without a port/],
    ["[::1]", /without a port/],
    ["http://a:0", /from 1 to 65535/],
    ["http://a:99999", /from 1 to 65535/],
    ["http://a:1/path", /no address/],
    ["http://a b:1", /no address/],
    [["https://a:1", "b:1"], /mixes http and https/],
    ["http://root:5ecret@a:1", /a user in it/],
  ])("%j", (hosts, message) => {
    let thrown: unknown;
    try {
      parseHosts(hosts);
    } catch (error) {
      thrown = error;
    }
    expect(isLeaseholdError(thrown, "INVALID_ARGUMENT") && thrown.message).toMatch(message);
    expect(String(thrown)).not.toContain("5ecret");
  });
});
