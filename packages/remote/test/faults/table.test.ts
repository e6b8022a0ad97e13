import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { fileURLToPath } from "node:url"
import { bounds, cases, longer, sizes } from "./cases.ts"
import { measured } from "./measured.ts"
import * as Table from "./table.ts"

const read = (path: string) =>
  Effect.flatMap(
    FileSystem.FileSystem,
    (fs) => fs.readFileString(fileURLToPath(new URL(`../../../../${path}`, import.meta.url)))
  ).pipe(Effect.provide(NodeFileSystem.layer))

const all = cases(sizes.large)
const ran = (row: string, name: string, isOk: boolean): Table.Ran => ({
  row,
  name,
  outcome: isOk ? "ok" : "fails",
  came: "1.0 s"
})
const run = new Map(
  [
    ...all.map(({ fails, name, row = "" }) => ran(row, name, fails !== true)),
    ...Object.values(longer).map(({ name, row }) => ran(row, name, true))
  ].map((one) => [one.name, one])
)

describe("FAULTS.md", () => {
  it.live("has a line for each fault and for nothing else, with the outcome that it has to have", () =>
    Effect.gen(function*() {
      const text = yield* read("packages/remote/FAULTS.md")
      assert.deepStrictEqual(Table.outline(text), Table.outline(Table.render([run, run])))
    }))

  it.live("has no figure above what its fault may cost", () =>
    Effect.gen(function*() {
      const lines = Table.parse(yield* read("packages/remote/FAULTS.md"))
      for (const fault of all) {
        const { ran } = lines.find(({ name }) => name === fault.name)!
        for (const [at, registry] of Object.keys(Table.registries).entries()) {
          const [, down, up] = /, ([\d.]+) down, ([\d.]+) up$/.exec(ran[at]!)!
          const most = bounds(fault, registry as Table.Registry)
          assert.isAtMost(Number(down), most.down, fault.name)
          assert.isAtMost(Number(up), most.up, fault.name)
        }
      }
    }))

  it.live("is what the READMEs sum up", () =>
    Effect.gen(function*() {
      assert.strictEqual(measured.size, 43)
      const summary = Table.summary(yield* read("packages/remote/FAULTS.md"))
      assert.match(summary, /\| \*\*43\*\* \| \*\*41\*\* \| \*\*29\*\* \| \*\*27\*\* \| \*\*16\*\* \| \*\*5\*\* \|$/)
      assert.include(yield* read("packages/transport/README.md"), summary)
      const words = "survives 41, and what is left nobody can; crane 29, regctl 27, oras 16, skopeo 5"
      assert.include(yield* read("README.md"), words)
    }))
})

describe("table", () => {
  it("is read as it was written, whatever is around it", () => {
    const fails = new Map(run).set("baseline", ran("", "baseline", false))
    const tables = Table.render([run, fails])
    const text = Table.replace("# Faults\n<!-- tables -->\nold\n<!-- /tables -->\n| a | b |\n", tables)
    assert.strictEqual(text, `# Faults\n<!-- tables -->\n${tables}\n<!-- /tables -->\n| a | b |\n`)
    assert.deepStrictEqual(Table.parse(text).find(({ name }) => name === "baseline"), {
      row: "",
      name: "baseline",
      ran: ["ok 1.0 s", "fails 1.0 s"]
    })
    assert.strictEqual(Table.parse(text).length, run.size)
  })

  it("counts what is survived before each registry", () => {
    const name = "push: POST reset"
    const fails = new Map(run).set(name, ran("B15", name, false))
    assert.include(Table.render([run, fails]), "| **survived of 43** | **41** | **40** | **29** |")
    assert.include(Table.summary(Table.render([fails, run])), "| **43** | **40** |")
  })
})
