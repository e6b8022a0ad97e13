import { assert, describe, it } from "@effect/vitest"
import * as readme from "../src/readme.ts"

const examples = (path: string, ...lines: ReadonlyArray<string>) => readme.examples({ path, text: lines.join("\n") })

describe("readme", () => {
  it("makes a module of each ts fence, its lines where they are in the README", () => {
    const { modules, problems } = examples(
      "packages/name/README.md",
      "# Names",
      "```ts",
      "const a = 1",
      "```",
      "```sh",
      "npm ci",
      "```",
      "```ts",
      "const b = 2",
      "```"
    )
    assert.deepStrictEqual(problems, [])
    assert.deepStrictEqual(modules.map(({ path, text }) => ({ path, lines: text.split("\n") })), [
      { path: "packages/examples/generated/name-1.ts", lines: ["", "", "const a = 1", ""] },
      { path: "packages/examples/generated/name-2.ts", lines: [...Array<string>(8).fill(""), "const b = 2", ""] }
    ])
  })

  it("names the modules of the first README root", () => {
    assert.strictEqual(
      examples("README.md", "```ts", "```").modules[0]?.path,
      "packages/examples/generated/root-1.ts"
    )
  })

  it("allows no fence that asks not to be checked", () => {
    assert.deepStrictEqual(examples("README.md", "", "```ts ignore", "x", "```", "```typescript", "```").problems, [
      { file: "README.md", line: 2, rule: "an example that is not checked rots: say ts, not ts ignore" },
      { file: "README.md", line: 5, rule: "an example that is not checked rots: say ts, not typescript" }
    ])
  })
})
