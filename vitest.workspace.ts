import { existsSync, readdirSync } from "node:fs"
import { defineConfig } from "vitest/config"

// Tests read the sources, never a stale build.
const conditions = ["@effect-oci/source", "node", "import", "default"]

const packages = readdirSync(new URL("packages/", import.meta.url)).filter((name) =>
  name !== "interop" && existsSync(new URL(`packages/${name}/test`, import.meta.url))
)

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    // What is measured is never the time that a test takes; a machine may have other work.
    testTimeout: 60_000,
    projects: packages.map((name) => ({
      extends: true,
      test: { name, root: `./packages/${name}`, include: ["test/**/*.test.ts"] }
    }))
  }
})
