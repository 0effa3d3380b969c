import { expect, test } from "vitest";
import { summarise as summariseAccount, type History as Account } from "../demos/account/summary.ts";
import type { WorkerEvent } from "../demos/account/worker.ts";
import { summarise as summariseBreaker, type History as Breaker } from "../demos/breaker/summary.ts";
import { summarise as summariseLeader, type History as Leader } from "../demos/leader/summary.ts";
import { makeOrders } from "../demos/payments/orders.ts";
import { summarise as summarisePayments, type History as Payments } from "../demos/payments/summary.ts";
import type { Row } from "../demos/shared/summary.ts";

/** The promises that were not kept, by name. */
function failed(rows: readonly Row[]): string[] {
  return rows.flatMap(({ what, ok }) => (ok === false ? [what] : []));
}

const accountHistory: Account = {
  events: [
    { kind: "granted", token: 5n },
    { kind: "opened", token: 5n, balance: 100 },
    { kind: "granted", token: 6n },
    { kind: "opened", token: 6n, balance: 100 },
    { kind: "withdrew", token: 6n, balance: 90 },
    { kind: "refused", token: 5n, stillHeld: false, why: "" },
  ].map((event, atMs) => ({ ...event, atMs })) as WorkerEvent[],
  takeovers: [
    { by: "kill", ms: 1 },
    { by: "freeze", ms: 1 },
  ],
};
test("the account demo's summary passes a good history, and fails each broken promise by name", () => {
  const good = accountHistory;
  const failing = (history: Account, found = 90): string[] =>
    failed(summariseAccount(history, { initial: 100, amount: 10, found }));
  const without = (kind: string): Account => ({
    ...good,
    events: good.events.filter((event) => event.kind !== kind),
  });
  expect(failing(good)).toEqual([]);
  expect(failing(good, 100)).toEqual(["balance found"]);
  expect(failing(good, 80)).toEqual(["balance found"]);
  expect(failing(without("refused"))).toEqual(["stale writes refused"]);
  expect(failing(without("granted"))).toEqual(["tokens strictly increasing"]);
  expect(failing({ ...good, takeovers: [] })).toEqual([
    "takeover after the kill",
    "takeover after the freeze",
  ]);
  const repeated = good.events.map((event) => (event.kind === "granted" ? { ...event, token: 5n } : event));
  expect(failing({ ...good, events: repeated })).toEqual(["tokens strictly increasing"]);
  const late = { kind: "withdrew", token: 5n, balance: 90, atMs: 9 } as const;
  expect(failing({ ...good, events: [...good.events, late] }, 80)).toEqual(["stale writes accepted"]);
});

test("the leader demo's summary passes a good history, and fails each broken promise by name", () => {
  const leader = (term: bigint): { candidate: string; value: string; term: bigint } => {
    return { candidate: "host", value: "", term };
  };
  const term = (each: bigint, atMs: number): Leader["events"] => [
    { kind: "elected", term: each, atMs },
    { kind: "leads", term: each, atMs: atMs + 1 },
    { kind: "leads", term: each, atMs: atMs + 2 },
  ];
  const good: Leader = {
    events: [...term(5n, 0), ...term(6n, 10), ...term(9n, 20)],
    seen: [null, leader(5n), null, leader(6n), leader(9n), null],
    takeoverMs: 1_500,
    handOverMs: 3,
  };
  const failing = (change: Partial<Leader>): string[] =>
    failed(summariseLeader({ ...good, ...change }, 1_500));
  expect(failing({})).toEqual([]);
  expect(failing({ takeoverMs: 3_501 })).toEqual(["takeover after the kill"]);
  expect(failing({ handOverMs: 1_500 })).toEqual(["hand-over after the resign"]);
  expect(failing({ seen: [null, leader(5n), leader(6n), leader(9n), leader(11n), null] })).toEqual([]);
  expect(failing({ seen: [null, leader(5n), leader(9n), null] })).toEqual(["observer saw every term"]);
  expect(failing({ events: [...term(5n, 0), ...term(6n, 1), ...term(9n, 20)] })).toEqual([
    "one leader at a time",
  ]);
  expect(failing({ events: [...term(6n, 0), ...term(5n, 10), ...term(9n, 20)], seen: good.seen })).toEqual([
    "terms strictly increasing",
    "observer saw every term",
  ]);
});

test("the breaker demo's summary passes a good history, and fails each broken promise by name", () => {
  const nodes = ["a", "b"];
  const job = { nodes, share: 1, pollMs: 500, openMs: 1_000 };
  const fleet = (to: "open" | "half-open" | "closed", atMs: number): Breaker["events"] =>
    nodes.map((node, index) => ({ kind: "fleet", to, node, atMs: atMs + index, attempt: 1, reason: "" }));
  const probed = (outcome: string, atMs: number): Breaker["events"] => [
    { kind: "probed", outcome, node: "a", atMs },
  ];
  const vote = (node: string, atMs: number): Breaker["events"] => [{ kind: "voted", node, atMs }];
  const good: Breaker = {
    events: [
      ...vote("a", 10),
      ...vote("a", 110),
      ...vote("b", 120),
      ...fleet("open", 300),
      ...fleet("half-open", 1_300),
      ...probed("failure", 1_400),
      ...fleet("open", 1_401),
      ...probed("success", 3_400),
      ...fleet("closed", 3_401),
    ],
    arrivals: [
      { node: "a", atMs: 290, endMs: 310 },
      { node: "a", atMs: 1_350, endMs: 1_399 },
      { node: "b", atMs: 3_350, endMs: 3_399 },
      { node: "b", atMs: 3_402, endMs: 3_420 },
    ],
    downAtMs: 100,
    isLineEmpty: true,
  };
  const failing = (change: Partial<Breaker>): string[] =>
    failed(summariseBreaker({ ...good, ...change }, job, 500));
  expect(failing({})).toEqual([]);
  expect(failing({ isLineEmpty: false })).toEqual(["votes taken back"]);
  expect(failing({ events: [...fleet("open", 20), ...good.events] })).toEqual(["one sick node"]);
  const late = { node: "b", atMs: 1_360, endMs: 1_390 };
  expect(failing({ arrivals: [...good.arrivals, late] })).toEqual([
    "sent while not closed",
    "probes at once",
  ]);
  const alone = { node: "b", atMs: 2_000, endMs: 2_050 };
  expect(failing({ arrivals: [...good.arrivals, alone] })).toEqual(["sent while not closed"]);
  const without = (kind: string, to: string): Breaker["events"] =>
    good.events.filter(
      (event) => !(event.kind === kind && "to" in event && event.to === to && event.node === "b"),
    );
  expect(failing({ events: without("fleet", "open") })).toEqual(["open for all, by a quorum"]);
  expect(failing({ events: without("fleet", "closed") })).toEqual(["closed for all, by a probe"]);
  const slow = good.events.map((event) => (event.atMs === 301 ? { ...event, atMs: 1_200 } : event));
  expect(failing({ events: slow })).toEqual(["open for all, by a quorum"]);
});

test("the payments demo's summary passes a good history, and fails each broken promise by name", () => {
  const orders = makeOrders(2);
  const receipts = (replayed: boolean): Payments["receipts"]["paid"] =>
    orders.map((order) => {
      const body = JSON.stringify({ order: order.name });
      return { order, body, replayed, tries: 1, unanswered: 0, conflicts: 0 };
    });
  const requests = orders.map(({ name, amount, key }) => {
    return { order: name, amount, shop: "shop-1", key, repeated: false, atMs: 0 };
  });
  const good: Payments = {
    orders,
    receipts: { paid: receipts(false), again: receipts(true) },
    requests,
    takeoverMs: 1_500,
  };
  const failing = (change: Partial<Payments>): string[] =>
    failed(summarisePayments({ ...good, ...change }, 1_500));
  expect(failing({})).toEqual([]);
  expect(failing({ requests: [...requests, { ...requests[0]!, repeated: true }] })).toEqual([]);
  expect(failing({ requests: [...requests, requests[0]!] })).toEqual(["charged exactly once"]);
  expect(failing({ requests: requests.slice(1) })).toEqual(["charged exactly once"]);
  expect(failing({ requests: [{ ...requests[0]!, amount: 1 }, requests[1]!] })).toEqual([
    "charged exactly once",
  ]);
  expect(failing({ takeoverMs: null })).toEqual(["takeover after the kill"]);
  expect(failing({ takeoverMs: 3_501 })).toEqual(["takeover after the kill"]);
  expect(failing({ receipts: { paid: receipts(false), again: receipts(false) } })).toEqual([
    "replayed when asked again",
  ]);
  const [first, second] = receipts(true);
  const crossed = [{ ...first!, body: second!.body }, second!];
  expect(failing({ receipts: { paid: receipts(false), again: crossed } })).toEqual([
    "one result for each key",
  ]);
  expect(failing({ receipts: { paid: crossed, again: crossed } })).toEqual(["one result for each key"]);
});
