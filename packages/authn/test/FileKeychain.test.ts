import * as Repository from "@effect-oci/name/Repository"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as PlatformError from "effect/PlatformError"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { AuthnError } from "../src/AuthnError.ts"
import * as Credential from "../src/Credential.ts"
import type * as CredentialHelper from "../src/CredentialHelper.ts"
import * as DockerConfig from "../src/DockerConfig.ts"
import * as FileKeychain from "../src/FileKeychain.ts"
import type * as Keychain from "../src/Keychain.ts"

const path = "/home/ann/.docker/config.json"
const ghcr = Repository.parseUnsafe("ghcr.io/acme/app")
const entry = (user: string) => JSON.stringify({ auths: { "ghcr.io": { auth: btoa(`${user}:s3cret`) } } })

type Missing = "NotFound" | "PermissionDenied"
const isMissing = (text: unknown): text is Missing => text === "NotFound" || text === "PermissionDenied"

/** A disk of one file, whose reads are counted; `text` is what is in it. */
const disk = (text: string | Uint8Array) => {
  const file: { text: string | Uint8Array; reads: number; readonly asked: Array<number> } = {
    text,
    reads: 0,
    asked: []
  }
  const layer = FileSystem.layerNoop({
    stream: (_, options) => {
      file.reads++
      const limit = Number(options?.bytesToRead)
      file.asked.push(limit)
      if (isMissing(file.text)) {
        return Stream.fail(PlatformError.systemError({
          _tag: file.text,
          module: "FileSystem",
          method: "stream",
          pathOrDescriptor: path
        }))
      }
      const bytes = typeof file.text === "string" ? new TextEncoder().encode(file.text) : file.text
      // In two parts, as a disk may give it.
      return Stream.make(bytes.subarray(0, 7), bytes.subarray(7, limit))
    }
  })
  const noProcess = Layer.succeed(ChildProcessSpawner, undefined as never)
  return { file, layer: Layer.merge(layer, noProcess) }
}

const who = (resolve: Keychain.Resolve) =>
  Effect.map(resolve(ghcr), (credential) => credential._tag === "Basic" ? credential.username : credential._tag)

describe("FileKeychain", () => {
  describe("make", () => {
    it.effect("reads the file at the first look-up, not before, and once for all that come", () => {
      const { file, layer } = disk(entry("ann"))
      return Effect.gen(function*() {
        const resolve = yield* FileKeychain.make(path)
        assert.strictEqual(file.reads, 0)
        const users = yield* Effect.all(Array.from({ length: 20 }, () => who(resolve)), { concurrency: "unbounded" })
        assert.deepStrictEqual(users, Array.from({ length: 20 }, () => "ann"))
        assert.strictEqual(file.reads, 1)
      }).pipe(Effect.provide(layer))
    })

    it.effect("reads it again after ten seconds: somebody may have logged in", () => {
      const { file, layer } = disk("NotFound")
      return Effect.gen(function*() {
        const resolve = yield* FileKeychain.make(path)
        assert.strictEqual(yield* who(resolve), "Anonymous")
        file.text = entry("ann")
        yield* TestClock.adjust("9 seconds")
        assert.strictEqual(yield* who(resolve), "Anonymous")
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* who(resolve), "ann")
        file.text = "PermissionDenied"
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* Effect.flip(who(resolve))).reason, "Unreadable")
      }).pipe(Effect.provide(layer))
    })

    it.effect.each<readonly [string, AuthnError["reason"]]>([
      ["PermissionDenied", "Unreadable"],
      ["{", "Malformed"],
      ["[]", "Malformed"]
    ])("fails each look-up where the file is %j, naming it, and reads it no more often for that", ([text, reason]) => {
      const { file, layer } = disk(text)
      return Effect.gen(function*() {
        const resolve = yield* FileKeychain.make(path)
        for (let n = 0; n < 3; n++) {
          assert.deepInclude(yield* Effect.flip(resolve(ghcr)), { source: path, reason })
        }
        assert.strictEqual(file.reads, 1)
      }).pipe(Effect.provide(layer))
    })

    it.effect("reads no more of a huge file than tells that it is one", () => {
      const { file, layer } = disk(new Uint8Array(DockerConfig.maxSize * 4).fill(0x20))
      return Effect.gen(function*() {
        const resolve = yield* FileKeychain.make(path)
        assert.strictEqual((yield* Effect.flip(resolve(ghcr))).reason, "Malformed")
        assert.deepStrictEqual(file.asked, [DockerConfig.maxSize + 1])
      }).pipe(Effect.provide(layer))
    })

    it.effect("asks the helper that the file names, as it is told to", () => {
      const asked: Array<string> = []
      const ask: CredentialHelper.Ask = (name) =>
        Effect.sync(() => {
          asked.push(name)
          return Credential.basic("helped", "s3cret")
        })
      return Effect.gen(function*() {
        const resolve = yield* FileKeychain.make(path, { ask })
        assert.strictEqual(yield* who(resolve), "helped")
        assert.deepStrictEqual(asked, ["vault"])
      }).pipe(Effect.provide(disk(JSON.stringify({ credHelpers: { "ghcr.io": "vault" } })).layer))
    })
  })

  describe("read", () => {
    it.effect("gives the bytes of a file in one, and nothing where there is none", () =>
      Effect.gen(function*() {
        const read = (text: string) => Effect.provide(FileKeychain.read(path), disk(text).layer)
        assert.strictEqual(new TextDecoder().decode(yield* read(entry("ann"))), entry("ann"))
        assert.isUndefined(yield* read("NotFound"))
        assert.instanceOf(yield* Effect.flip(read("PermissionDenied")), AuthnError)
      }))
  })

  describe("fromText", () => {
    it.effect("is the keychain of a text, and fails by the name of where it is from", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* who(yield* FileKeychain.fromText(entry("ann"), "DOCKER_AUTH_CONFIG")), "ann")
        const bad = yield* FileKeychain.fromText(`{"auths":"s3cret`, "DOCKER_AUTH_CONFIG")
        const error = yield* Effect.flip(bad(ghcr))
        assert.deepInclude(error, { source: "DOCKER_AUTH_CONFIG", reason: "Malformed" })
        assert.notInclude(error.message, "s3cret")
      }).pipe(Effect.provide(disk("NotFound").layer)))
  })
})
