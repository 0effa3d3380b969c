import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { startFaultProxy, type FaultProxy } from "./proxy.ts";
import { endsHttp2Response } from "./http2-response.ts";
import { RecordingClient, RecordingServer } from "./recording-endpoints.ts";

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function setUp(): Promise<{
  server: RecordingServer;
  proxy: FaultProxy;
  client: () => RecordingClient;
}> {
  const server = new RecordingServer();
  const proxy = await startFaultProxy({ target: await server.listen() });
  cleanups.push(async () => {
    for (const socket of server.sockets) socket.destroy();
    server.server.close();
  });
  cleanups.push(() => proxy.close());
  const client = (): RecordingClient => {
    const made = new RecordingClient(proxy.port);
    cleanups.push(async () => made.socket.destroy());
    return made;
  };
  return { server, proxy, client };
}

test("pass: bytes and ends go both ways, and are counted", async () => {
  const { server, proxy, client } = await setUp();
  const one = client();
  one.send("hello");
  await one.until("+hello");
  expect(proxy.url("redis")).toBe(`redis://127.0.0.1:${proxy.port}`);
  expect(proxy.connections).toBe(1);
  expect(proxy.bytes.toServer).toEqual({ received: 5, delivered: 5, held: 0, dropped: 0 });
  expect(proxy.bytes.toClient).toEqual({ received: 6, delivered: 6, held: 0, dropped: 0 });
  one.socket.end("bye");
  expect(await one.closed).toBe("end");
  expect(one.seen).toBe("+hello+bye");
  expect(server.seen).toBe("hellobye<end>");
  await proxy.until((p) => p.connections === 0);
});

test("a reset by either side and a server that is down become a reset on the other side", async () => {
  const { server, proxy, client } = await setUp();
  const one = client();
  one.send("a");
  await one.until("+a");
  one.socket.resetAndDestroy();
  await server.until("<reset>");
  const two = client();
  two.send("b");
  await two.until("+b");
  server.sockets[1]?.resetAndDestroy();
  expect(await two.closed).toBe("ECONNRESET");
  server.server.close();
  const three = client();
  expect(await three.closed).toBe("ECONNRESET");
  await proxy.until((p) => p.connections === 0);
});

test("blackhole: sockets stay open and silent, new ones too; pass resets those that lost bytes and no others", async () => {
  const { server, proxy, client } = await setUp();
  const idle = client();
  idle.send("idle");
  await idle.until("+idle");
  const live = client();
  live.send("a");
  await live.until("+a");
  proxy.blackhole();
  live.send("lost");
  const late = client();
  late.send("lost too");
  const leaver = client();
  await once(leaver.socket, "connect");
  leaver.socket.resetAndDestroy();
  await proxy.until((p) => p.bytes.toServer.dropped === 12 && p.connections === 3);
  expect(live.socket.readyState).toBe("open");
  expect(late.socket.readyState).toBe("open");
  proxy.pass();
  expect(await live.closed).toBe("ECONNRESET");
  expect(await late.closed).toBe("ECONNRESET");
  idle.send("b");
  await idle.until("+b");
  expect(server.seen).not.toContain("lost");
});

test("blackhole one way: requests arrive and answers are lost, or the other way round", async () => {
  const { server, proxy, client } = await setUp();
  const one = client();
  proxy.blackhole("toClient");
  one.send("executed");
  await server.until("executed");
  await proxy.until((p) => p.bytes.toClient.dropped === 9);
  expect(one.seen).toBe("");
  proxy.pass();
  expect(await one.closed).toBe("ECONNRESET");

  const two = client();
  two.send("a");
  await two.until("+a");
  proxy.blackhole("toServer");
  two.send("unheard");
  await proxy.until((p) => p.bytes.toServer.dropped === 7);
  server.sockets.at(-1)?.write("push");
  await two.until("push");
  expect(server.seen).not.toContain("unheard");
});

test("a blackhole after a hold drops what was held", async () => {
  const { server, proxy, client } = await setUp();
  const one = client();
  proxy.hold("toServer");
  one.send("held");
  await proxy.until((p) => p.bytes.toServer.held === 4);
  proxy.blackhole("toServer");
  expect(proxy.bytes.toServer).toEqual({ received: 4, delivered: 0, held: 0, dropped: 4 });
  proxy.pass();
  expect(await one.closed).toBe("ECONNRESET");
  expect(server.seen).not.toContain("held");
});

test.each(["release", "pass"] as const)(
  "hold, then %s: delivered in order, the other way flows meanwhile",
  async (ending) => {
    const { server, proxy, client } = await setUp();
    const one = client();
    one.send("0");
    await one.until("+0");
    proxy.hold("toServer");
    one.send("1");
    await proxy.until((p) => p.bytes.toServer.held === 1);
    one.send("2");
    await proxy.until((p) => p.bytes.toServer.held === 2);
    server.sockets[0]?.write("push");
    await one.until("push");
    expect(server.seen).toBe("0");
    proxy[ending]();
    one.send("3");
    await server.until("0123");
    expect(proxy.bytes.toServer.held).toBe(0);
  },
);

test("release of some bytes: a late request arrives without the cancellation sent behind it", async () => {
  const { server, proxy, client } = await setUp();
  const one = client();
  proxy.hold("toServer");
  one.send("acq");
  await proxy.until((p) => p.bytes.toServer.held === 3);
  one.send("uire cancel");
  await proxy.until((p) => p.bytes.toServer.held === 14);
  one.socket.resetAndDestroy();
  await proxy.until((p) => p.connections === 0);
  proxy.release("toServer", { bytes: 7 });
  await server.until("acquire");
  await proxy.until((p) => p.bytes.toClient.received > 0);
  expect(server.seen).toBe("acquire");
  expect(proxy.bytes.toServer).toEqual({ received: 14, delivered: 7, held: 7, dropped: 0 });
  proxy.release();
  await server.until("acquire cancel");
  await server.until("<reset>");
});

test("hold toClient: the request is executed, the answer comes when released", async () => {
  const { server, proxy, client } = await setUp();
  proxy.hold("toClient");
  const one = client();
  one.send("x");
  await proxy.until((p) => p.bytes.toClient.held === 2);
  expect(server.seen).toBe("x");
  expect(one.seen).toBe("");
  proxy.release("toClient");
  await one.until("+x");
});

test.each(["destroy", "resetAndDestroy", "proxy"] as const)(
  "hold: bytes of a client that went away (%s) are delivered, and it is gone only once they are answered",
  async (leaving) => {
    const { server, proxy, client } = await setUp();
    server.silent = true;
    const one = client();
    proxy.hold("toServer", { match: (chunk) => chunk.includes("acquire"), limit: 1 });
    one.send("acquire");
    await proxy.until((p) => p.bytes.toServer.held === 7);
    if (leaving === "proxy") proxy.reset("client");
    else one.socket[leaving]();
    await one.closed;
    await proxy.until((p) => p.connections === 0);

    const two = client();
    two.send("release ");
    await server.until("release ");
    two.send("acquire again ");
    await server.until("acquire again ");
    proxy.release();
    await server.until("acquire again acquire");
    expect(server.seen).toBe("release acquire again acquire");
    server.sockets[0]?.write("granted");
    await server.until(leaving === "destroy" ? "<end>" : "<reset>");
    expect(two.seen).toBe("");
  },
);

test("cutAfterNextRequest: the request is executed, its reply is lost, both sides are reset", async () => {
  const { server, proxy, client } = await setUp();
  const bystander = client();
  const one = client();
  const cut = proxy.cutAfterNextRequest({ match: (chunk) => chunk.includes("EVALSHA") });
  one.send("PING");
  await one.until("+PING");
  one.send("EVALSHA");
  await cut;
  expect(server.seen).toContain("EVALSHA");
  expect(await one.closed).toBe("ECONNRESET");
  expect(one.seen).toBe("+PING");
  await server.until("<reset>");
  expect(proxy.bytes.toClient.dropped).toBe(8);
  bystander.send("EVALSHA again");
  await bystander.until("+EVALSHA again");
});

test("cutAfterNextRequest: swallows up to the reply that isReply tells, even if the client leaves first", async () => {
  const { server, proxy, client } = await setUp();
  server.silent = true;
  const one = client();
  const cut = proxy.cutAfterNextRequest({ isReply: (chunk) => chunk.includes("reply") });
  one.send("request");
  await server.until("request");
  server.sockets[0]?.write("window update");
  await proxy.until((p) => p.bytes.toClient.dropped === 13);
  one.socket.resetAndDestroy();
  await proxy.until((p) => p.connections === 0);
  expect(server.seen).toBe("request");
  server.sockets[0]?.write("reply");
  await cut;
  await server.until("<reset>");
  expect(one.seen).toBe("");
});

test("cutAfterNextRequest applies to a held request when it is released", async () => {
  const { server, proxy, client } = await setUp();
  const one = client();
  proxy.hold("toServer");
  const cut = proxy.cutAfterNextRequest();
  one.send("late");
  await proxy.until((p) => p.bytes.toServer.held === 4);
  proxy.release();
  await cut;
  expect(await one.closed).toBe("ECONNRESET");
  expect(server.seen).toContain("late");
});

test("cutAfterNextRequest rejects when called off, when the server leaves first, and on close", async () => {
  const { server, proxy, client } = await setUp();
  const calledOff = proxy.cutAfterNextRequest();
  proxy.pass();
  await expect(calledOff).rejects.toThrow("pass() called it off");
  server.silent = true;
  const left = proxy.cutAfterNextRequest();
  const one = client();
  one.send("x");
  await server.until("x");
  server.sockets[0]?.resetAndDestroy();
  await expect(left).rejects.toThrow("closed by the server before it answered");
  const unused = proxy.cutAfterNextRequest();
  await proxy.close();
  await expect(unused).rejects.toThrow("the proxy was closed");
});

test("reset now; refuse resets new connections until it ends", async () => {
  const { server, proxy, client } = await setUp();
  const one = client();
  one.send("a");
  await one.until("+a");
  proxy.reset();
  expect(await one.closed).toBe("ECONNRESET");
  await server.until("<reset>");
  proxy.refuse(true);
  expect(await client().closed).toBe("ECONNRESET");
  proxy.refuse(false);
  const three = client();
  three.send("b");
  await three.until("+b");
  expect(server.sockets).toHaveLength(2);
});

test("latency delays each way and keeps the order, also when it is taken back", async () => {
  const { server, proxy, client } = await setUp();
  const one = client();
  one.send("0");
  await one.until("+0");
  proxy.latency(30);
  const sentAt = performance.now();
  one.send("1");
  await proxy.until((p) => p.bytes.toServer.received === 2);
  one.send("2");
  await one.until("2");
  expect(performance.now() - sentAt).toBeGreaterThanOrEqual(59);
  expect(server.seen).toBe("012");
  proxy.latency(60_000);
  one.send("3");
  await proxy.until((p) => p.bytes.toServer.received === 4);
  proxy.latency(0);
  one.send("4");
  await one.until("4");
  expect(server.seen).toBe("01234");
});

test("tap sees every chunk with its connection; close resets all and ends what waits", async () => {
  const { proxy, client } = await setUp();
  const taps: string[] = [];
  const untap = proxy.tap((direction, chunk, connection) =>
    taps.push(`${connection} ${direction} ${chunk.toString()}`),
  );
  const one = client();
  one.send("a");
  await one.until("+a");
  untap();
  one.send("b");
  await one.until("+b");
  expect(taps).toEqual(["1 toServer a", "1 toClient +a"]);
  const waiting = proxy.until(() => false);
  const ended = expect(waiting).rejects.toThrow("the fault proxy was closed");
  await proxy.close();
  await ended;
  expect(await one.closed).toBe("ECONNRESET");
  expect(await client().closed).toBe("ECONNREFUSED");
});

test("endsHttp2Response finds trailers behind other frames, and nothing else", () => {
  const frame = (type: number, flags: number, length: number): Buffer =>
    Buffer.concat([Buffer.from([0, 0, length, type, flags, 0, 0, 0, 1]), Buffer.alloc(length, 1)]);
  const [windowUpdate, ping, data] = [frame(8, 0, 4), frame(6, 0, 8), frame(0, 1, 40)];
  const [headers, trailers] = [frame(1, 4, 20), frame(1, 5, 20)];
  expect(endsHttp2Response(Buffer.concat([windowUpdate, ping]))).toBe(false);
  expect(endsHttp2Response(Buffer.concat([headers, data]))).toBe(false);
  expect(endsHttp2Response(Buffer.concat([windowUpdate, headers, data, trailers]))).toBe(true);
});
