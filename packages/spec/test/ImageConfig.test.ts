import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as ImageConfig from "../src/ImageConfig.ts"

const digest = (character: string) => `sha256:${character.repeat(64)}`
const config = {
  created: "2026-11-24T00:00:00Z",
  author: "A",
  architecture: "arm",
  os: "linux",
  variant: "v7",
  "os.version": "1",
  "os.features": ["a"],
  config: {
    User: "1000:1000",
    Env: ["PATH=/bin", "A=b=c"],
    Entrypoint: ["/bin/a"],
    Cmd: ["--b"],
    WorkingDir: "/w",
    Labels: { a: "b" },
    Healthcheck: { StartInterval: 5 }
  },
  rootfs: { type: "layers", diff_ids: [digest("a"), digest("b")] },
  history: [
    { created: "2026-11-24T00:00:00Z", created_by: "COPY", author: "B", comment: "c" },
    { created_by: "ENV", empty_layer: true }
  ]
}
const bytes = (value: unknown) => new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value))
const parse = (value: unknown) => Result.getOrThrow(ImageConfig.parse(bytes(value)))
const error = (value: unknown) => Result.getOrThrow(Result.flip(ImageConfig.parse(bytes(value))))

describe("ImageConfig", () => {
  it("reads what runs, where, and of what it is made", () => {
    const { bytes: kept, json, ...read } = parse(config)
    assert.deepStrictEqual(kept, bytes(config))
    assert.strictEqual(JSON.stringify(json), JSON.stringify(config))
    assert.deepStrictEqual<unknown>({ ...read, labels: { ...read.labels } }, {
      platform: { os: "linux", architecture: "arm", variant: "v7", "os.version": "1", "os.features": ["a"] },
      created: "2026-11-24T00:00:00Z",
      author: "A",
      env: ["PATH=/bin", "A=b=c"],
      entrypoint: ["/bin/a"],
      cmd: ["--b"],
      workingDir: "/w",
      user: "1000:1000",
      labels: { a: "b" },
      diffIds: [digest("a"), digest("b")],
      history: [
        { created: "2026-11-24T00:00:00Z", createdBy: "COPY", author: "B", comment: "c", emptyLayer: false },
        { created: undefined, createdBy: "ENV", author: undefined, comment: undefined, emptyLayer: true }
      ]
    })
  })

  it.each([
    {},
    { config: null, rootfs: null, history: null },
    { config: { Env: null, Labels: null, Cmd: null, Entrypoint: null }, rootfs: { diff_ids: null } }
  ])("reads %j as one that says nothing", (value) => {
    const read = parse(value)
    assert.deepStrictEqual(read.platform, { os: "", architecture: "" })
    for (const list of [read.env, read.cmd, read.entrypoint, read.diffIds, read.history]) {
      assert.deepStrictEqual(list, [])
    }
  })

  it("reads a command that is one text", () => {
    const read = parse({ config: { Cmd: "sh", Entrypoint: "" } })
    assert.deepStrictEqual([read.cmd, read.entrypoint], [["sh"], []])
  })

  it("keeps labels whatever they are called", () => {
    assert.deepStrictEqual(Object.entries(parse(`{"config":{"Labels":{"__proto__":"x"}}}`).labels), [[
      "__proto__",
      "x"
    ]])
  })

  it.each([
    [[], ""],
    ["{", ""],
    [{ os: 1 }, "os"],
    [{ OS: "windows" }, ""],
    [{ config: [] }, "config"],
    [{ config: { Env: [1] } }, "config.Env[0]"],
    [{ config: { Cmd: 1 } }, "config.Cmd"],
    [{ config: { Labels: { a: 1 } } }, "config.Labels[\"a\"]"],
    [{ rootfs: { diff_ids: [digest("a"), "sha256:b"] } }, "rootfs.diff_ids[1]"],
    [{ history: [{}, { created_by: 1 }] }, "history[1].created_by"],
    [{ history: [{ empty_layer: "yes" }] }, "history[0].empty_layer"]
  ])("refuses %j at %j", (value, path) => {
    const found = error(value)
    assert.strictEqual(found.path, path)
    assert.strictEqual(found.document, "image config")
  })

  it.prop("never throws", [Schema.fromJsonString(Schema.Json)], ([value]) => {
    for (
      const document of [value, { config: value, rootfs: value, history: value }, {
        config: { Env: value, Labels: value }
      }]
    ) {
      const read = ImageConfig.parse(bytes(JSON.stringify(document)))
      if (Result.isFailure(read)) assert.strictEqual(read.failure._tag, "SpecError")
    }
  })

  it("goes through a Schema and comes back as the same bytes", () => {
    const given = bytes(config)
    const read = Schema.decodeSync(ImageConfig.ImageConfigFromBytes)(given)
    assert.strictEqual(Schema.encodeSync(ImageConfig.ImageConfigFromBytes)(read), given)
    assert.isFalse(ImageConfig.isImageConfig({ bytes: given }))
  })
})
