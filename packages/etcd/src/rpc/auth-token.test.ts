import { expect, test } from "vitest";

import { AuthToken } from "./auth-token.ts";
import { RpcFailure } from "./failure.ts";

const login = { username: "u", password: "p" };
const give =
  (...answers: (string | Error)[]) =>
  async (): Promise<{ token: string }> => {
    const answer = answers.shift() ?? new Error("not expected");
    if (answer instanceof Error) throw answer;
    return { token: answer };
  };

test("one request serves all who need the token, and the next one only once it was refused", async () => {
  const token = new AuthToken(login);
  const authenticate = give("first", "second");
  expect(await Promise.all([token.get(authenticate), token.get(authenticate)])).toEqual(["first", "first"]);
  token.forget("an older one");
  expect(await token.get(authenticate)).toBe("first");
  token.forget("first");
  expect(await token.get(authenticate)).toBe("second");
});

test("no token, where none is asked for, is forgotten like any other once it is refused", async () => {
  const token = new AuthToken(login);
  const authenticate = give(new Error("etcdserver: authentication is not enabled"), "bought");
  expect(await token.get(authenticate)).toBe("");
  expect(await token.get(authenticate)).toBe("");
  token.forget("");
  expect(await token.get(authenticate)).toBe("bought");
});

test("a wrong password is final for who was never let in, and may be a change for who was", async () => {
  const token = new AuthToken(login);
  const denied = new RpcFailure("denied", "authentication failed");
  const authenticate = give(denied, "right", denied, "right again");
  await expect(token.get(authenticate)).rejects.toMatchObject({ kind: "denied" });
  expect(await token.get(authenticate)).toBe("right");
  token.forget("right");
  await expect(token.get(authenticate)).rejects.toMatchObject({ kind: "locked-out" });
  expect(await token.get(authenticate)).toBe("right again");
});

test("a function is asked each time, and its failure is no refusal", async () => {
  const passwords = ["one", "two"];
  const seen: string[] = [];
  const token = new AuthToken(async () => {
    const password = passwords.shift();
    if (password === undefined) throw new Error("the vault is sealed");
    return { username: "u", password };
  });
  const authenticate = async ({ password }: { password: string }): Promise<{ token: string }> => {
    seen.push(password);
    return { token: `for ${password}` };
  };
  expect(await token.get(authenticate)).toBe("for one");
  token.forget("for one");
  expect(await token.get(authenticate)).toBe("for two");
  token.forget("for two");
  await expect(token.get(authenticate)).rejects.toMatchObject({
    kind: "unsent",
    message: "the function given as auth failed: Error: the vault is sealed",
  });
  expect(seen).toEqual(["one", "two"]);
});
