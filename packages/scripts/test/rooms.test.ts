import { assert, describe, it } from "@effect/vitest"
import { format } from "../src/Problem.ts"
import * as rooms from "../src/rooms.ts"
import type * as Workspace from "../src/Workspace.ts"

const versions = (names: ReadonlyArray<string>) => Object.fromEntries(names.map((name) => [name, "0.0.0"]))

const room = (folder: string, source: string, options: {
  readonly dependencies?: ReadonlyArray<string>
  readonly references?: ReadonlyArray<string>
  readonly private?: boolean
} = {}): Workspace.Package => {
  const dependencies = options.dependencies ?? []
  const manifest = {
    name: folder === "cli" ? "effect-oci" : `@effect-oci/${folder}`,
    private: options.private ?? false,
    dependencies: versions(dependencies),
    peerDependencies: { effect: "^4.1.0" }
  }
  return {
    folder,
    manifest,
    manifestText: JSON.stringify(manifest, null, 2),
    references: options.references ?? dependencies.flatMap((name) => name.match(/^@effect-oci\/(.*)/)?.[1] ?? []),
    sources: [{ path: `packages/${folder}/src/internal/a.ts`, text: source }]
  }
}

const check = (...packages: ReadonlyArray<Workspace.Package>) =>
  rooms.check({ root: { name: "root", devDependencies: { effect: "4.1.0" } }, packages }).map(format)

const name = room("name", "")

describe("rooms", () => {
  describe("arrows", () => {
    it("lets a room import what stands before it", () => {
      const source = `import * as Digest from "@effect-oci/name/Digest"\nimport * as A from "../A.ts"\n`
      assert.deepStrictEqual(check(name, room("spec", source, { dependencies: ["@effect-oci/name"] })), [])
    })

    it("stops an import against the arrow, at its line, whatever its form", () => {
      const against = (source: string) =>
        check(room("registry", ""), room("remote", source, { dependencies: ["@effect-oci/registry"] }))
      const rule = "packages/remote/src/internal/a.ts:2: remote may not import registry " +
        "(it may import: transport, content, spec, name)"
      assert.deepStrictEqual(against(`\nimport * as Fault from "@effect-oci/registry/Fault"`), [rule])
      assert.deepStrictEqual(against(`\nimport type { Fault } from "@effect-oci/registry/Fault"`), [rule])
      assert.deepStrictEqual(against(`\nexport * from "@effect-oci/registry/Fault"`), [rule])
      assert.deepStrictEqual(against(`\nconst fault = await import("@effect-oci/registry/Fault")`), [rule])
      assert.deepStrictEqual(against(`\ntype F = import("@effect-oci/registry/Fault").Fault`), [rule])
    })

    it("keeps remote and registry apart in both directions", () => {
      const source = `import * as Blobs from "@effect-oci/remote/Blobs"`
      const [first] = check(room("remote", ""), room("registry", source, { dependencies: ["@effect-oci/remote"] }))
      assert.include(first, "registry may not import remote")
    })

    it("stops a relative path out of the package, and a package's own name", () => {
      const source = `import "../../../spec/src/A.ts"\nimport * as B from "@effect-oci/name/B"`
      assert.deepStrictEqual(check(room("name", source)), [
        `packages/name/src/internal/a.ts:1: "../../../spec/src/A.ts" leaves the package: import other rooms by their name`,
        `packages/name/src/internal/a.ts:2: "@effect-oci/name/B" is this package: import "./B.ts"`
      ])
    })

    it("asks a public package to be in the table, and lets a private one import all", () => {
      assert.deepStrictEqual(check(room("attic", "")), [
        "packages/attic/package.json:2: attic is not in the arrows of rooms.ts"
      ])
      const source = `import * as A from "effect/Effect"\nimport { readFileSync } from "node:fs"\nprocess.argv`
      assert.deepStrictEqual(check(room("bench", source, { private: true })), [])
    })
  })

  describe("manifests", () => {
    it("asks for what is imported", () => {
      assert.deepStrictEqual(check(room("name", `import { sha256 } from "@noble/hashes/sha2.js"`)), [
        "packages/name/src/internal/a.ts:1: imports @noble/hashes, which packages/name/package.json does not declare"
      ])
    })

    it("asks for nothing that is not imported", () => {
      const source = `import * as Effect from "effect/Effect"`
      assert.deepStrictEqual(check(name, room("spec", source, { dependencies: ["@effect-oci/name"] })), [
        "packages/spec/package.json:5: declares @effect-oci/name, which no source imports"
      ])
    })

    it("asks tsconfig.json for the same", () => {
      const source = `import * as Digest from "@effect-oci/name/Digest"`
      const spec = room("spec", source, { dependencies: ["@effect-oci/name"], references: ["content"] })
      assert.deepStrictEqual(check(name, spec), [
        "packages/spec/tsconfig.json:1: has no reference to ../name, which package.json depends on",
        "packages/spec/tsconfig.json:1: refers to ../content, which package.json does not depend on"
      ])
    })
  })

  describe("words", () => {
    const rules = (folder: string, source: string) =>
      check(room(folder, source)).map((line) => line.replace(/^\S+ ("?[\w./:]+"?) .*/, "$1"))

    it("says /v2/ in three rooms, in texts, templates and patterns", () => {
      const source = "const a = `https://${1}/v2/`\nconst b = '/v2/'\nconst c = /^\\/v2\\//"
      assert.deepStrictEqual(rules("content", source), [`"/v2/"`, `"/v2/"`, `"/v2/"`])
      assert.deepStrictEqual(rules("transport", source), [])
      assert.deepStrictEqual(rules("registry", source), [])
      assert.deepStrictEqual(rules("remote", source), [])
    })

    it("says authorization in three rooms, as a text or a key", () => {
      const source = `const a = { authorization: 1 }\nconst b = ["Proxy-Authorization"]\nconst c = a.authorization`
      assert.deepStrictEqual(rules("remote", source), [`"authorization"`, `"authorization"`, `"authorization"`])
      assert.deepStrictEqual(rules("registry", source), [])
    })

    it("lets comments and other names say what they like", () => {
      const source = `// "/v2/" authorization process.env node:fs\n/* '/v2/' */\nconst authorizationServer = 1`
      assert.deepStrictEqual(rules("name", source), [])
    })

    it("imports Node in node and cli only, prefixed or not", () => {
      const source = `import "node:fs"\nimport "fs/promises"`
      assert.deepStrictEqual(rules("layout", source), ["node:", "node:"])
      assert.deepStrictEqual(rules("node", source), [])
      assert.deepStrictEqual(rules("cli", source), [])
    })

    it("uses process in node and cli only, and its env nowhere", () => {
      assert.deepStrictEqual(rules("name", "process.cwd()"), ["process"])
      assert.deepStrictEqual(rules("cli", "process.cwd()"), [])
      for (
        const source of [
          "process.env.HOME",
          "globalThis.process.env",
          `process["env"]`,
          "const { env } = process",
          `import { env } from "node:process"`
        ]
      ) assert.deepStrictEqual(rules("cli", source), ["process.env"], source)
      const bench = room("bench", "process.env.HOME", { private: true })
      assert.deepStrictEqual(check(bench).length, 1)
    })
  })
})
