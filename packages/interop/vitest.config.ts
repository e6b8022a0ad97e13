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
    testTimeout: 300_000,
    hookTimeout: 120_000
  }
})
