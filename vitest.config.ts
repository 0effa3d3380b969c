import { defineConfig } from "vitest/config";

// The packages of this repository resolve to their sources, so a test never runs against a dist
// that may be stale. Linked packages are not under node_modules by their real path, so vitest
// transforms them rather than leaving them to Node. No more than these: vitest hands them to Node,
// and with "import" or "module" among them a CommonJS package would load the ES module build of
// what it requires.
const conditions = ["@leasehold/source", "node"];

const serversAreGiven = ["LEASEHOLD_REDIS_URL", "LEASEHOLD_REDIS_CLUSTER_URL", "LEASEHOLD_ETCD_HOSTS"].some(
  (variable) => process.env[variable],
);

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    reporters: ["./test/reporter/closing-line.ts"],
    setupFiles: ["./test/seed.ts"],
    // Bounds on what hangs, and none on how fast anything is: no test asserts that. See test/stall.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 45_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          sequence: { groupOrder: 1 },
          include: ["packages/*/src/**/*.test.ts", "test/{reporter,stall}/**/*.test.ts"],
        },
      },
      {
        extends: true,
        test: {
          name: "servers",
          include: ["test/**/*.test.ts"],
          exclude: ["test/{reporter,stall}/**", "**/node_modules/**"],
          globalSetup: ["test/servers/global-setup.ts"],
          // After the rest: these tests measure time. Each file starts servers of its own, and most
          // of its time is waiting for ttls, so more files than cores run side by side.
          sequence: { groupOrder: 2 },
          maxWorkers: 5,
          // Servers from the environment are the same for every file.
          fileParallelism: !serversAreGiven,
          // A scenario that the machine spoilt is run again.
          testTimeout: 240_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
