import { setTimeout as sleep } from "node:timers/promises";

import { expect, test } from "vitest";

import { captureResponse, toResponse } from "./capture-response.ts";

const text = (body: Uint8Array | null): string | null => body && Buffer.from(body).toString();

/** Yields one chunk in each turn of the event loop. */
function slowly(...chunks: string[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(
    (async function* () {
      for (const chunk of chunks) {
        await sleep(1);
        yield Buffer.from(chunk);
      }
    })(),
  ) as ReadableStream<Uint8Array>;
}

test.each<[string, () => Response]>([
  ["a string", () => new Response("hello")],
  ["bytes", () => new Response(Buffer.from("hello"))],
  ["form fields", () => new Response(new URLSearchParams("hello"))],
  [
    "a stream that is all there",
    () =>
      new Response(
        new ReadableStream({
          start: (controller) => {
            for (const chunk of ["hel", "lo"]) controller.enqueue(Buffer.from(chunk));
            controller.close();
          },
        }),
      ),
  ],
  [
    "a stream of a known length",
    () => new Response(slowly("hel", "lo"), { headers: { "content-length": "5" } }),
  ],
])("keeps %s", async (_, make) => {
  const { outgoing, response } = await captureResponse(make(), 1_000);
  expect(text(outgoing.body)).toMatch(/^hello=?$/);
  expect(outgoing.unkept).toBeNull();
  expect(await response.text()).toBe(text(outgoing.body));
});

test.each<[string, Response]>([
  ["no body", new Response(null, { status: 204 })],
  ["an empty one", new Response("")],
])("keeps %s", async (_, given) => {
  const { outgoing, response } = await captureResponse(given, 1_000);
  expect(outgoing).toMatchObject({ status: given.status, body: new Uint8Array(0), unkept: null });
  expect(response.status).toBe(given.status);
  expect(await response.text()).toBe("");
});

test.each<[string, Response]>([
  ["that is still being made", new Response(slowly("one", "two", "three"))],
  [
    "of events, though it is all there",
    new Response("onetwothree", { headers: { "content-type": "text/event-stream" } }),
  ],
  [
    "of lines of JSON",
    new Response(slowly("one", "two", "three"), { headers: { "content-type": "application/x-ndjson" } }),
  ],
  [
    "that says so",
    new Response(slowly("one", "two", "three"), {
      headers: { "transfer-encoding": "chunked", "content-length": "11" },
    }),
  ],
])("a stream %s passes through, whole", async (_, given) => {
  const { outgoing, response } = await captureResponse(given, 1_000);
  expect(outgoing).toMatchObject({ body: null, unkept: "stream" });
  expect(await response.text()).toBe("onetwothree");
});

test("more than the limit passes through, whole, announced or not", async () => {
  const body = "x".repeat(1_001);
  for (const headers of [{}, { "content-length": "1001" }]) {
    const { outgoing, response } = await captureResponse(new Response(body, { headers }), 1_000);
    expect(outgoing).toMatchObject({ body: null, unkept: "too-large" });
    expect(await response.text()).toBe(body);
  }
  expect((await captureResponse(new Response(body.slice(1)), 1_000)).outgoing.unkept).toBeNull();
});

test("status, headers and cookies go out as they were", async () => {
  const headers = new Headers({ "x-a": "1" });
  headers.append("set-cookie", "a=b");
  headers.append("set-cookie", "c=d");
  const { outgoing, response } = await captureResponse(
    new Response("hello", { status: 201, statusText: "Made", headers }),
    1_000,
  );
  expect(outgoing.headers).toContainEqual(["set-cookie", "a=b"]);
  expect(outgoing.headers).toContainEqual(["set-cookie", "c=d"]);
  expect({ status: response.status, statusText: response.statusText }).toEqual({
    status: 201,
    statusText: "Made",
  });
  expect(response.headers.getSetCookie()).toEqual(["a=b", "c=d"]);
});

test("a body that breaks is an error: nobody knows what it would have been", async () => {
  const broken = new ReadableStream({ pull: (controller) => controller.error(new Error("upstream")) });
  await expect(captureResponse(new Response(broken), 1_000)).rejects.toThrow("upstream");
});

test("cancelling what passes through cancels its source", async () => {
  let cancelled: unknown;
  const endless = new ReadableStream({
    pull: async (controller) => {
      await sleep(1);
      controller.enqueue(Buffer.from("x"));
    },
    cancel: (reason) => void (cancelled = reason),
  });
  const { response } = await captureResponse(new Response(endless), 1_000);
  await response.body?.cancel("enough");
  expect(cancelled).toBe("enough");
});

test("a stored body with a status that has none is left out", async () => {
  const response = toResponse({ status: 204, headers: [], body: Buffer.from("x") });
  expect(response.status).toBe(204);
  expect(response.body).toBeNull();
});
