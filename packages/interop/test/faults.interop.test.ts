import * as Fault from "@effect-oci/registry/Fault"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it, layer } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { fileURLToPath } from "node:url"
import { bounds, cases, hasMet, layerOf, longer, sizes, strays } from "../../remote/test/faults/cases.ts"
import { measured } from "../../remote/test/faults/measured.ts"
import * as Table from "../../remote/test/faults/table.ts"
import * as Faulty from "./faulty.ts"
import * as Restarts from "./restarts.ts"

const size = sizes.large
const bytes = layerOf(size)
const small = layerOf(1024 * 1024)
const places = Array.from({ length: 16 }, (_, at) => at * 64 * 1024)

/** The rows of the table of faults that have to be shown. */
const rows = "B05 B11 B12 B16 B17 B18 B19 B20 B21 B22 B23 B24 B25 B33 B34 B35 B36 B37 B38".split(" ")

const runs = (["registry", "docker-registry"] as const).map((peer) => {
  const ran = new Map<string, Table.Ran>()
  const note = ({ name, row = "" }: { readonly name: string; readonly row?: string }, isOk: boolean, came: string) =>
    void ran.set(name, { row, name, outcome: isOk ? "ok" : "fails", came })

  layer(Layer.provideMerge(Faulty.registries(peer), NodeServices.layer), { excludeTestServices: true })(
    `single faults before ${peer}`,
    (it) => {
      it.effect.each(cases(size))(
        "$name",
        ({ name }) =>
          Effect.gen(function*() {
            // Dates in it are those of now.
            const fault = cases(size, yield* Clock.currentTimeMillis).find((one) => one.name === name)!
            const seen = yield* Faulty.run(fault, bytes)
            const { down, exit, isSame, seconds, up } = seen
            note(fault, isSame, `${seconds.toFixed(1)} s, ${down.toFixed(2)} down, ${up.toFixed(2)} up`)
            assert.isTrue(hasMet(fault, seen))
            assert.deepStrictEqual(strays(seen), [])
            if (fault.fails) assert.isTrue(Exit.isFailure(exit) && !Cause.hasDies(exit.cause), String(exit))
            else assert.isTrue(isSame, String(exit))
            assert.isAtLeast(seconds, fault.least ?? 0)
            // A machine with other work is slower, but no more than that.
            assert.isAtMost(seconds, fault.within === 0 ? 1 : 1.5 * (fault.within ?? 20))
            assert.isAtMost(down, bounds(fault, peer).down)
            assert.isAtMost(up, bounds(fault, peer).up)
          })
      )

      it.effect(
        longer.restarts.name,
        () =>
          Effect.gen(function*() {
            const { isSame, seconds, up } = yield* Restarts.run(peer)
            note(longer.restarts, isSame, `${seconds.toFixed(1)} s, ${up.toFixed(2)} up`)
            assert.isTrue(isSame)
            // What was on its way at each restart, and no more.
            assert.isAtMost(up, 1.01 + 3 * Restarts.concurrency / Restarts.images)
          }),
        { timeout: 120_000 }
      )

      it.effect(longer.thousand.name, () =>
        Effect.gen(function*() {
          const { answered, ended, seconds, waits } = yield* Faulty.thousand
          note(longer.thousand, answered === 1000, `${seconds.toFixed(1)} s, ${waits} waits`)
          assert.isAbove(ended, 100)
          assert.deepStrictEqual({ answered, waits }, { answered: 1000, waits: 0 })
        }))

      // What is on its way when a connection is cut has been sent; what arrived is not sent again, where the registry kept it.
      it.effect.each(places)(
        "ends right where a blob of 1 MiB is cut at byte %d, down and up",
        (at) =>
          Effect.gen(function*() {
            const source = [Fault.truncate(at, { end: "reset" }).on("GET", "/blobs/sha256:")]
            const down = yield* Faulty.run({ name: "", source }, small)
            assert.isTrue(hasMet({ name: "", source }, down) && down.isSame, String(down.exit))
            assert.isAtMost(down.down, 1.13)
            const target = [Fault.reset(at).on("PUT", "/blobs/uploads/")]
            const up = yield* Faulty.run({ name: "", target }, small)
            assert.isTrue(hasMet({ name: "", target }, up) && up.isSame, String(up.exit))
            assert.isAtMost(up.up, 2)
          })
      )

      it.effect("survives 41 of the 43 faults that others were measured with, and fails the two that nobody can survive", () =>
        Effect.sync(() => {
          const of = [...measured.keys()].map((name) => ran.get(name))
          assert.isTrue(of.every((one) => one !== undefined))
          assert.strictEqual(of.filter((one) => one?.outcome === "ok").length, 41)
          const shown = new Set([...ran.values()].map(({ row }) => row))
          assert.deepStrictEqual(rows.filter((row) => !shown.has(row)), [])
        }))
    }
  )
  return ran
})

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

describe("the table of faults", () => {
  it.live("says in FAULTS.md what has been seen; .cache/FAULTS.md has the figures of the last run", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const tables = Table.render(runs)
      yield* Console.log(tables)
      const text = yield* fs.readFileString(at("../../remote/FAULTS.md"))
      yield* fs.makeDirectory(at("../.cache"), { recursive: true })
      yield* fs.writeFileString(at("../.cache/FAULTS.md"), Table.replace(text, tables))
      assert.deepStrictEqual(Table.outline(text), Table.outline(tables))
    }).pipe(Effect.provide(NodeServices.layer)))
})
