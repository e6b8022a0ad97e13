import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Route from "../../src/internal/route.ts"
import { defaults } from "../../src/Settings.ts"

const digest = `sha256:${"0".repeat(64)}`

const table: ReadonlyArray<readonly [path: string, expected: unknown]> = [
  ["/v2/", { _tag: "Ping" }],
  ["/v2", { _tag: "Ping" }],
  ["/v2/_catalog", { _tag: "Catalog" }],
  ["/token", { _tag: "Token" }],
  ["/v2/a/tags/list", { _tag: "Tags", repository: "a" }],
  ["/v2/a/b/c/tags/list", { _tag: "Tags", repository: "a/b/c" }],
  ["/v2/a/tags/tags/list", { _tag: "Tags", repository: "a/tags" }],
  ["/v2/a/manifests/latest", { _tag: "Manifest", repository: "a", reference: "latest" }],
  ["/v2/a/manifests/tags", { _tag: "Manifest", repository: "a", reference: "tags" }],
  ["/v2/a/manifests/blobs", { _tag: "Manifest", repository: "a", reference: "blobs" }],
  ["/v2/a/manifests/manifests/1", { _tag: "Manifest", repository: "a/manifests", reference: "1" }],
  [`/v2/a/blobs/${digest}`, { _tag: "Blob", repository: "a", digest }],
  ["/v2/a/blobs/uploads/", { _tag: "Uploads", repository: "a" }],
  ["/v2/a/blobs/uploads", { _tag: "Uploads", repository: "a" }],
  ["/v2/a/blobs/uploads/u-1", { _tag: "Upload", repository: "a", id: "u-1" }],
  [`/v2/a/referrers/${digest}`, { _tag: "Referrers", repository: "a", digest }],
  ["/v2/A/tags/list", { _tag: "Invalid", detail: "not a valid repository name" }],
  ["/v2/a%2Fb/tags/list", { _tag: "Invalid", detail: "not a valid repository name" }],
  ["/v2/a//b/tags/list", { _tag: "Invalid", detail: "not a valid repository name" }],
  ["/v2/../a/tags/list", { _tag: "Invalid", detail: "not a valid repository name" }],
  ["/v2/tags/list", { _tag: "Invalid", detail: "not a valid repository name" }],
  [`/v2/${"a".repeat(256)}/tags/list`, { _tag: "Invalid", detail: "not a valid repository name" }],
  ["/v2/a/tags/other", { _tag: "Unknown" }],
  ["/v2/a", { _tag: "Unknown" }],
  ["/v1/a/tags/list", { _tag: "Unknown" }],
  ["/", { _tag: "Unknown" }],
  ["", { _tag: "Unknown" }],
  [`/v2/${"a/".repeat(600)}tags/list`, { _tag: "TooLong" }]
]

describe("Route", () => {
  describe("parse", () => {
    it("reads a path from its end", () => {
      assert.deepStrictEqual(table.map(([path]) => Route.parse(path)), table.map(([, expected]) => expected))
    })

    it.prop("reads any path without failing", { path: Schema.String }, ({ path }) => {
      assert.isString(Route.parse(`/v2/${path}`)._tag)
    })
  })

  describe("methods", () => {
    const route = Route.parse("/v2/a/manifests/1")

    it("leaves out what a registry does not allow", () => {
      assert.deepStrictEqual(Route.methods(route, defaults), ["GET", "HEAD", "PUT", "DELETE"])
      assert.deepStrictEqual(Route.methods(route, { ...defaults, deletes: false }), ["GET", "HEAD", "PUT"])
      assert.deepStrictEqual(Route.methods(route, { ...defaults, readOnly: true }), ["GET", "HEAD"])
    })

    it("lets an upload be cancelled where nothing may be deleted", () => {
      assert.include(Route.methods(Route.parse("/v2/a/blobs/uploads/u"), { ...defaults, deletes: false })!, "DELETE")
    })
  })

  describe("action", () => {
    it("takes all that is done to an upload for a push", () => {
      for (const method of ["GET", "PATCH", "PUT", "DELETE"]) {
        assert.deepStrictEqual(Route.action(Route.parse("/v2/a/blobs/uploads/u"), method), {
          repository: "a",
          action: "push"
        })
      }
    })
  })
})
