import { defineConfig } from "vitest/config";

// The packages of this repository resolve to their sources, so a test never runs against a dist that may be stale.
// Linked packages are not under node_modules by their real path, so vitest transforms them rather than leaving them to Node.
// No more than these: vitest hands them to Node, and with "import" or "module" among them a CommonJS package would load
// the ES module build of what it requires.
const conditions = ["@leasehold/source", "node"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    reporters: ["./test/reporter/closing-line.ts"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          sequence: { groupOrder: 1 },
          include: ["packages/*/src/**/*.test.ts", "test/reporter/**/*.test.ts"],
        },
      },
      {
        extends: true,
        test: {
          name: "servers",
          include: ["test/**/*.test.ts"],
          exclude: ["test/reporter/**", "**/node_modules/**"],
          globalSetup: ["test/servers/global-setup.ts"],
          // These tests pause, cut and kill the servers they share, and measure time: one file at a time, after the rest.
          sequence: { groupOrder: 2 },
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
