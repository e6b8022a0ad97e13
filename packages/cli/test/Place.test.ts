import * as Digest from "@effect-oci/name/Digest"
import * as Tag from "@effect-oci/name/Tag"
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Place from "../src/Place.ts"

const digest = Digest.parseUnsafe(`sha256:${"a".repeat(64)}`)

describe("Place", () => {
  describe("folder", () => {
    it.each<readonly [string, string, string | undefined, string | undefined]>([
      ["oci:images", "images", undefined, undefined],
      ["oci:images:v1", "images", "v1", undefined],
      [`oci:images@${digest}`, "images", undefined, digest],
      [`oci:images:v1@${digest}`, "images", "v1", digest],
      ["oci:/srv/a.b/images:1.2-rc", "/srv/a.b/images", "1.2-rc", undefined],
      ["oci:./a:b/images", "./a:b/images", undefined, undefined],
      ["oci:C:\\images", "C:\\images", undefined, undefined],
      ["oci:C:\\images:v1", "C:\\images", "v1", undefined],
      ["oci:a:v1", "a", "v1", undefined],
      ["oci::v1", ":v1", undefined, undefined],
      ["oci:a@b", "a@b", undefined, undefined],
      ["oci:a@sha256:abc", "a@sha256", "abc", undefined],
      ["oci:images:", "images:", undefined, undefined],
      [`oci:images:${"t".repeat(129)}`, `images:${"t".repeat(129)}`, undefined, undefined]
    ])("reads %s", (text, path, tag, digest) => {
      assert.deepStrictEqual(Place.folder(text) as unknown, { path, tag, digest })
    })

    it.each(["ghcr.io/acme/app:1", "ubuntu", "OCI:images", " oci:images", "oci/images", ""])(
      "takes %j for a reference",
      (text) => {
        assert.isUndefined(Place.folder(text))
      }
    )

    it.prop("gives back a folder, a tag and a digest that were put together", [Schema.String], ([name]) => {
      const path = `/${name}`
      const tag = Tag.parseUnsafe("v1")
      assert.deepStrictEqual(Place.folder(`oci:${path}:${tag}@${digest}`), { path, tag, digest })
      assert.deepStrictEqual(Place.folder(`oci:${path}:${tag}`), { path, tag, digest: undefined })
    })
  })
})
