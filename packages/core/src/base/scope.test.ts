import { AsyncLocalStorage } from "node:async_hooks";

import { expect, it } from "vitest";

import { captureScope, presentScope } from "./scope.ts";

it("runs work in the context of its capture, and leaves the present one as it was", () => {
  const storage = new AsyncLocalStorage<string>();
  const scope = storage.run("then", captureScope);
  storage.run("now", () => {
    expect(scope(() => storage.getStore())).toBe("then");
    expect(presentScope(() => storage.getStore())).toBe("now");
    expect(() =>
      scope(() => {
        throw new Error("the work's own");
      }),
    ).toThrow("the work's own");
    expect(storage.getStore()).toBe("now");
  });
});
