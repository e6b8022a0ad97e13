import { defineConfig } from "vitest/config"

// Tests read the sources, never a stale build.
const conditions = ["@effect-oci/source", "node", "import", "default"]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    name: "interop",
    include: ["test/**/*.interop.test.ts"],
    // Peers are programs of their own: two at a time are enough for two cores.
    fileParallelism: false,
    // Programs of others, on real sockets and by a real clock: a machine with other work may be too slow for one once. A layer
    // has a name here: one without is closed after as many runs as there are tests, and those run again are counted too.
    retry: 1,
    testTimeout: 300_000,
    hookTimeout: 120_000
  }
})
