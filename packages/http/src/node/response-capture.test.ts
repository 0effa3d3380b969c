import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";

import { expect, test } from "vitest";

import { ResponseCapture } from "./response-capture.ts";

/** A response without a network: what is written to it goes into `sent`. */
function respond(limitBytes = 1_000): {
  response: ServerResponse;
  capture: ResponseCapture;
  sent: () => string;
} {
  const request = new IncomingMessage(new Socket());
  Object.assign(request, { httpVersionMajor: 1, httpVersionMinor: 1 });
  const response = new ServerResponse(request);
  response.sendDate = false;
  const socket = new Socket();
  let sent = "";
  const write = (chunk: Uint8Array | string, encoding?: unknown): boolean => {
    sent += Buffer.from(
      chunk as string,
      typeof encoding === "string" ? (encoding as BufferEncoding) : "utf8",
    ).toString();
    return true;
  };
  socket.write = write as typeof socket.write;
  response.assignSocket(socket);
  response.setHeader("x-before", "1");
  return { response, capture: new ResponseCapture(response, limitBytes), sent: () => sent };
}

const textOf = (body: Uint8Array | null): string | null => body && Buffer.from(body).toString();

test("nothing is sent before send()", async () => {
  const { response, capture, sent } = respond();
  response.statusCode = 201;
  response.setHeader("etag", '"1"');
  response.end("paid");
  const outgoing = await capture.known;
  expect({ ...outgoing, body: textOf(outgoing.body) }).toEqual({
    status: 201,
    headers: [
      ["x-before", "1"],
      ["etag", '"1"'],
    ],
    body: "paid",
    unkept: null,
    unhandled: false,
  });
  expect(sent()).toBe("");
  capture.send();
  expect(sent()).toMatch(/^HTTP\/1\.1 201 Created\r\n.*etag: "1"\r\n.*Content-Length: 4\r\n\r\npaid$/s);
});

test("what was stored is what is sent: a status that is set afterwards changes nothing", async () => {
  const { response, capture, sent } = respond();
  response.end("paid");
  await capture.known;
  response.statusCode = 500;
  expect(() => response.setHeader("x-late", "1")).toThrow(
    expect.objectContaining({ code: "ERR_HTTP_HEADERS_SENT" }),
  );
  expect(() => response.writeHead(500)).toThrow(expect.objectContaining({ code: "ERR_HTTP_HEADERS_SENT" }));
  capture.send();
  expect(sent()).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
});

test("replace() sends another in its place, with the headers from before, and swallows all that follows", async () => {
  const { response, capture, sent } = respond();
  response.writeHead(200, "Fine", { "content-type": "text/event-stream", "set-cookie": "a=b" });
  response.write("one");
  expect((await capture.known).unkept).toBe("stream");
  capture.replace({
    status: 409,
    headers: [["content-type", "application/problem+json"]],
    body: Buffer.from("{}"),
  });
  expect(sent()).toMatch(
    /^HTTP\/1\.1 409 Conflict\r\nx-before: 1\r\ncontent-type: application\/problem\+json\r\n.*\r\n\r\n\{\}$/s,
  );
  const { promise: called, resolve } = Promise.withResolvers<unknown>();
  expect(response.write("two", resolve)).toBe(true);
  await called;
  response.end("three");
  expect(sent()).not.toMatch(/one|two|three|a=b/);
});

test("a stream is held until send(), and told to go on then", async () => {
  const { response, capture, sent } = respond();
  expect(response.write("one")).toBe(false);
  let drained = 0;
  response.on("drain", () => drained++);
  expect((await capture.known).unkept).toBe("stream");
  expect([sent(), drained]).toEqual(["", 0]);
  capture.send();
  expect(drained).toBe(1);
  response.end("two");
  expect(sent()).toMatch(/Transfer-Encoding: chunked\r\n.*one.*two/s);
});

test("a body that grows over the limit is not kept, though its length seemed to fit", async () => {
  const { response, capture } = respond(5);
  response.setHeader("content-length", "4");
  expect(response.write("four")).toBe(true);
  expect(response.write("more")).toBe(false);
  expect((await capture.known).unkept).toBe("too-large");
});

test("destroyed before it began: nobody knows; destroyed within: interrupted", async () => {
  const early = respond();
  const failed = expect(early.capture.known).rejects.toThrow(/destroyed before it began/);
  early.response.destroy();
  await failed;
  const late = respond();
  late.response.setHeader("content-length", "6");
  late.response.write("one");
  late.response.destroy();
  expect((await late.capture.known).unkept).toBe("interrupted");
});

test("the client's end is no end before the handler began to answer", async () => {
  const { response, capture } = respond();
  response.emit("close");
  response.end("paid");
  expect(textOf((await capture.known).body)).toBe("paid");
});

test("an error that made the response is remembered with it", async () => {
  const { response, capture } = respond();
  capture.unhandled = true;
  response.statusCode = 500;
  response.end();
  expect(await capture.known).toMatchObject({ status: 500, unhandled: true, body: Buffer.alloc(0) });
});
