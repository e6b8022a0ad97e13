import * as Digest from "@effect-oci/name/Digest"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Successors from "../src/Successors.ts"

const named = (mediaType: string, letter: string): Descriptor.Descriptor => ({
  mediaType,
  digest: Digest.parseUnsafe(`sha256:${letter.repeat(64)}`),
  size: 3
})

const config = named(MediaType.ociConfig, "c")
const layers = [named(MediaType.ociLayer, "1"), named(MediaType.ociLayer, "2")]
const members = [named(MediaType.ociManifest, "a"), named(MediaType.ociIndex, "b"), named("text/plain", "d")]
const subject = named(MediaType.ociManifest, "e")

const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
const manifest = (more: object = {}) => bytesOf({ schemaVersion: 2, config, layers, ...more })
const index = (more: object = {}) => bytesOf({ schemaVersion: 2, manifests: members, ...more })

const of = (mediaType: string, bytes: Uint8Array) => Successors.of(named(mediaType, "f"), bytes, "ghcr.io/acme/app")
const digests = (mediaType: string, bytes: Uint8Array) =>
  Result.getOrThrow(of(mediaType, bytes)).map(({ digest }) => digest)
const digestsOf = (list: ReadonlyArray<Descriptor.Descriptor>) => list.map(({ digest }) => digest)

describe("Successors", () => {
  describe("hasSuccessors", () => {
    it.each([MediaType.ociManifest, MediaType.ociIndex, MediaType.dockerManifest, MediaType.dockerManifestList])(
      "is true of %s",
      (mediaType) => {
        assert.isTrue(Successors.hasSuccessors(mediaType))
      }
    )

    it.each([
      MediaType.ociLayer,
      MediaType.ociConfig,
      "application/vnd.docker.distribution.manifest.v1+json",
      "application/json",
      ""
    ])("is false of %j", (mediaType) => {
      assert.isFalse(Successors.hasSuccessors(mediaType))
    })
  })

  describe("of", () => {
    it.each([MediaType.ociManifest, MediaType.dockerManifest])("finds config and layers, in order, in %s", (type) => {
      assert.deepStrictEqual(digests(type, manifest()), digestsOf([config, ...layers]))
    })

    it.each([MediaType.ociIndex, MediaType.dockerManifestList])(
      "finds members of any kind, in order, in %s",
      (type) => {
        assert.deepStrictEqual(digests(type, index()), digestsOf(members))
      }
    )

    it("leaves the subject out: a registry takes a manifest before it", () => {
      assert.deepStrictEqual(digests(MediaType.ociManifest, manifest({ subject })), digestsOf([config, ...layers]))
      assert.deepStrictEqual(digests(MediaType.ociIndex, index({ subject })), digestsOf(members))
    })

    it("finds nothing in what is copied as it is, whatever is in it", () => {
      for (const mediaType of [MediaType.ociLayer, "application/vnd.docker.distribution.manifest.v1+json", "x/y"]) {
        assert.deepStrictEqual(digests(mediaType, manifest()), [])
        assert.deepStrictEqual(digests(mediaType, new Uint8Array([0xff])), [])
      }
    })

    it.each<[string, string, Uint8Array]>([
      ["no JSON", MediaType.ociManifest, new Uint8Array([0xff])],
      ["a manifest without a config", MediaType.ociManifest, bytesOf({ schemaVersion: 2, layers })],
      ["an index served as a manifest", MediaType.ociManifest, index()],
      ["a manifest served as an index", MediaType.ociIndex, manifest()],
      ["both in one", MediaType.ociIndex, index({ layers })],
      ["another type than it says", MediaType.ociManifest, manifest({ mediaType: MediaType.dockerManifest })]
    ])("refuses %s, and says which and where", (_, mediaType, bytes) => {
      const error = Result.getOrThrow(Result.flip(of(mediaType, bytes)))
      assert.strictEqual(error.reason._tag, "Invalid")
      assert.include(error.message, "ghcr.io/acme/app")
      assert.include(error.message, `sha256:${"f".repeat(64)}: `)
      assert.isFalse(error.isRetryable)
    })

    it.prop("never throws", [Schema.String, Schema.Json], ([text, json]) => {
      for (const bytes of [new TextEncoder().encode(text), bytesOf(json), manifest({ layers: json })]) {
        for (const mediaType of [MediaType.ociManifest, MediaType.ociIndex]) of(mediaType, bytes)
      }
    })
  })

  describe("referrer", () => {
    const referrer = (mediaType: string, bytes: Uint8Array) =>
      Option.getOrUndefined(Successors.referrer({ ...named(mediaType, "f"), annotations: { from: "a list" } }, bytes))

    it("is a manifest as its subject's list has it: with its own type and annotations", () => {
      const annotations = { "org.opencontainers.image.created": "2026-01-01T00:00:00Z" }
      const bytes = manifest({ subject, artifactType: "application/spdx+json", annotations })
      assert.deepStrictEqual(referrer(MediaType.ociManifest, bytes), {
        subject: subject.digest,
        descriptor: { ...named(MediaType.ociManifest, "f"), artifactType: "application/spdx+json", annotations }
      })
    })

    it("is of its config's type where a manifest says none; an index is of none then", () => {
      assert.deepStrictEqual(referrer(MediaType.ociManifest, manifest({ subject })), {
        subject: subject.digest,
        descriptor: { ...named(MediaType.ociManifest, "f"), artifactType: MediaType.ociConfig }
      })
      assert.deepStrictEqual(referrer(MediaType.ociIndex, index({ subject })), {
        subject: subject.digest,
        descriptor: named(MediaType.ociIndex, "f")
      })
    })

    it("is nothing without a subject, of other content, and of what cannot be read", () => {
      assert.isUndefined(referrer(MediaType.ociManifest, manifest()))
      assert.isUndefined(referrer(MediaType.ociLayer, manifest({ subject })))
      assert.isUndefined(referrer(MediaType.ociManifest, index({ subject })))
    })
  })
})
