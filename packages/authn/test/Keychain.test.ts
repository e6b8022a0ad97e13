import * as Registry from "@effect-oci/name/Registry"
import * as Repository from "@effect-oci/name/Repository"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import { TestClock } from "effect/testing"
import { AuthnError } from "../src/AuthnError.ts"
import * as Credential from "../src/Credential.ts"
import * as Keychain from "../src/Keychain.ts"

const ghcr = Registry.parseUnsafe("ghcr.io")
const ann = Credential.basic("ann", "p")
const broken = new AuthnError({ source: "a file", reason: "Malformed", detail: "it is broken" })
const failing: Keychain.Resolve = () => Effect.fail(broken)

/** Says what it is told to, one after the other. */
const scripted = (...answers: ReadonlyArray<Credential.Credential | AuthnError>) => {
  let asked = 0
  const resolve: Keychain.Resolve = () =>
    Effect.suspend(() => {
      const answer = answers[asked++]!
      return answer instanceof AuthnError ? Effect.fail(answer) : Effect.succeed(answer)
    })
  return { resolve, asked: () => asked }
}

describe("Keychain", () => {
  describe("fromEntries", () => {
    it.effect("prefers the most specific key", () =>
      Effect.gen(function*() {
        const resolve = Keychain.fromEntries([
          ["quay.io", Credential.basic("host", "p")],
          ["quay.io/team", Credential.basic("folder", "p")],
          ["quay.io/team/app", Credential.basic("own", "p")],
          ["*.quay.io", Credential.basic("many", "p")]
        ])
        const user = (repository: string) =>
          Effect.map(
            resolve(Repository.parseUnsafe(repository)),
            (credential) => credential._tag === "Basic" ? credential.username : credential._tag
          )
        assert.strictEqual(yield* user("quay.io/team/app"), "own")
        assert.strictEqual(yield* user("quay.io/team/app/part"), "own")
        assert.strictEqual(yield* user("quay.io/team/other"), "folder")
        assert.strictEqual(yield* user("quay.io/teams"), "host")
        assert.strictEqual(yield* user("eu.quay.io/x"), "many")
        assert.strictEqual(yield* user("eu.x.quay.io/x"), "Anonymous")
      }))
  })

  describe("firstOf", () => {
    it.effect("asks on when one knows nobody, or is broken", () =>
      Effect.gen(function*() {
        const never = scripted(ann)
        const resolve = Keychain.firstOf(Keychain.anonymous, failing, () => Effect.succeed(ann), never.resolve)
        assert.strictEqual(yield* resolve(ghcr), ann)
        assert.strictEqual(never.asked(), 0)
      }))

    it.effect("fails as the first that failed when none knows anybody", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Keychain.firstOf(failing, Keychain.anonymous)(ghcr))
        assert.strictEqual(error, broken)
        assert.strictEqual((yield* Keychain.firstOf()(ghcr))._tag, "Anonymous")
      }))
  })

  describe("orAnonymous", () => {
    it.effect("goes on without credentials, and says so once", () =>
      Effect.gen(function*() {
        const lines: Array<unknown> = []
        const resolve = Keychain.orAnonymous(failing)
        const credentials = yield* Effect.all([resolve(ghcr), resolve(ghcr)]).pipe(
          Effect.provide(Logger.layer([Logger.make(({ message }) => lines.push(message))]))
        )
        assert.deepStrictEqual(credentials, [Credential.anonymous, Credential.anonymous])
        assert.deepStrictEqual(lines, [["credentials from a file: it is broken; going on without credentials"]])
      }))
  })

  describe("refreshing", () => {
    it.effect("asks once for all that wait, and again when the answer is old", () =>
      Effect.gen(function*() {
        const bob = Credential.basic("bob", "p")
        const { asked, resolve } = scripted(ann, bob)
        const slow: Keychain.Resolve = (resource) => Effect.delay(resolve(resource), "1 second")
        const refreshing = yield* Keychain.refreshing(slow, "10 minutes")
        const fiber = yield* Effect.forkChild(
          Effect.all(Array.from({ length: 100 }, () => refreshing(ghcr)), { concurrency: "unbounded" })
        )
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* Effect.map(Fiber.join(fiber), (all) => new Set(all)), new Set([ann]))
        assert.strictEqual(asked(), 1)
        yield* TestClock.adjust("9 minutes")
        assert.strictEqual(yield* refreshing(ghcr), ann)
        yield* TestClock.adjust("1 minute")
        const again = yield* Effect.forkChild(refreshing(ghcr))
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(again), bob)
      }))

    it.effect("does not give what was known before in place of a failure", () =>
      Effect.gen(function*() {
        const { asked, resolve } = scripted(ann, broken, ann)
        const refreshing = yield* Keychain.refreshing(resolve, "10 minutes")
        assert.strictEqual(yield* refreshing(ghcr), ann)
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual(yield* Effect.flip(refreshing(ghcr)), broken)
        assert.strictEqual(yield* refreshing(ghcr), ann)
        assert.strictEqual(asked(), 3)
      }))

    it.effect("keeps what it knows of one repository from another", () =>
      Effect.gen(function*() {
        const refreshing = yield* Keychain.refreshing(Keychain.fromEntries([["ghcr.io/a", ann]]), "1 hour")
        assert.strictEqual(yield* refreshing(Repository.parseUnsafe("ghcr.io/a")), ann)
        assert.strictEqual(yield* refreshing(Repository.parseUnsafe("ghcr.io/b")), Credential.anonymous)
      }))
  })
})
