import assert from "node:assert/strict";
import { randomInt } from "node:crypto";

import type { Case } from "../case.ts";

/** Names that have moved keys, matched patterns, ended strings or met each other somewhere. */
const awkward = [
  "a",
  "a/",
  "a/x",
  "a/x/y",
  "/",
  "//",
  "a:b",
  "a::b",
  ":",
  "{",
  "}",
  "{}",
  "{a}",
  "a{b}c",
  "}{",
  "*",
  "?",
  "[a]",
  "a*",
  "\u0000",
  "a\u0000",
  "a\u0000b",
  "%",
  "%00",
  "%0000",
  "%002f",
  "a%002fx",
  "\n",
  "a\nb",
  " ",
  " a",
  "a ",
  "..",
  "../a",
  "\ud800",
  "\udc00",
  "\ud800a",
  "\udc00a",
  "\u{1f600}",
  "é",
  "e\u0301",
  "A",
  "line",
  "expiry",
  "gone",
  "a:line",
  "__proto__",
  "constructor",
  "0",
  "-1",
  "1e3",
  "\u200b",
  "\ufeff",
  "\uffff",
  "x".repeat(512),
];

export const nameCases: readonly Case[] = [
  {
    name: "no two names ever meet, whatever they are made of, and in whichever order they come",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const space = fixture.name();
      const names = [...new Set([...awkward, ...Array.from({ length: 60 }, randomName)])].map(
        (name) => space + name,
      );
      const claims = [];
      // Both orders: a prefix scan that takes its neighbours along shows only when the longer name
      // is there first.
      for (const name of [...names.slice(0, names.length / 2), ...names.slice(names.length / 2).reverse()])
        claims.push(await fixture.granted(a, fixture.request(name, { ttlMs: fixture.ttlMs * 20 })));
      for (const claim of claims) {
        const { holders, line } = await b.backend.leases.inspect(claim.resource.name, { timeoutMs: 5_000 });
        assert.deepEqual(
          holders.map(({ owner }) => owner),
          [claim.owner],
          claim.resource.name,
        );
        assert.deepEqual(line, []);
      }
      for (const claim of claims.reverse())
        assert.equal(await fixture.release(a, claim), true, claim.resource.name);
      for (const claim of claims)
        await fixture.granted(b, fixture.request(claim.resource.name, { queue: false }));
    },
  },
];

function randomName(): string {
  return Array.from({ length: randomInt(1, 12) }, () => String.fromCharCode(randomInt(0, 65_536))).join("");
}
