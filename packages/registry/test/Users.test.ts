import { assert, describe, it } from "@effect/vitest"
import { hashSync } from "bcryptjs"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import * as Users from "../src/Users.ts"

// By htpasswd of apache2-utils: `htpasswd -nbB -C 5 alice "correct horse"`.
const alice = "alice:$2y$05$d0e07ZhHbI4HKS5a6QT6duG/21T4geE33R6nAjyHuPwPMaAu4Vc7q"

/** How often the machine was kept busy with bcrypt, by how long it took. */
const took = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const start = performance.now()
    return Effect.map(effect, (value) => ({ value, millis: performance.now() - start }))
  })

describe("Users", () => {
  describe("fromRecord", () => {
    it.effect("knows a user by the password", () =>
      Effect.gen(function*() {
        const users = yield* Users.fromRecord({ ann: "s3cret" })
        assert.isTrue(yield* users.check("ann", "s3cret"))
        for (const [name, password] of [["ann", "x"], ["ann", ""], ["bob", "s3cret"], ["constructor", "x"]] as const) {
          assert.isFalse(yield* users.check(name, password))
        }
      }))
  })

  describe("htpasswd", () => {
    it.effect("knows the users of a file that htpasswd wrote", () =>
      Effect.gen(function*() {
        const users = yield* Users.htpasswd(`# people\r\n\r\n${alice}\r\nbob:${hashSync("x", 4)}\n`)
        assert.isTrue(yield* users.check("alice", "correct horse"))
        assert.isTrue(yield* users.check("bob", "x"))
        for (const [name, password] of [["alice", "x"], ["bob", ""], ["", ""], ["eve", "x"], ["#", ""]] as const) {
          assert.isFalse(yield* users.check(name, password), name)
        }
      }))

    it.effect("names the line that it cannot read", () =>
      Effect.gen(function*() {
        for (const line of ["alice", ":x", "alice:secret", "alice:$apr1$x$y", "alice:{SHA}x", `${alice}x`]) {
          const error = yield* Effect.flip(Users.htpasswd(`${alice}\n${line}\n`))
          assert.strictEqual(error.line, 2)
          assert.notInclude(error.message, "secret")
        }
        const slow = alice.replace("$05$", "$20$")
        assert.include((yield* Effect.flip(Users.htpasswd(slow))).message, "cost")
      }))

    it.effect("lets in nobody by an empty file", () =>
      Effect.gen(function*() {
        assert.isFalse(yield* (yield* Users.htpasswd("")).check("", ""))
      }))

    it.effect("pays for a password once, however many ask at a time", () =>
      Effect.gen(function*() {
        const users = yield* Users.htpasswd(`ann:${hashSync("x", 9)}`)
        const one = yield* took(users.check("ann", "x"))
        const many = yield* took(
          Effect.all(Array.from({ length: 200 }, () => users.check("ann", "x")), { concurrency: "unbounded" })
        )
        assert.isTrue(many.value.every((right) => right))
        assert.isBelow(many.millis, one.millis * 10)
        yield* TestClock.adjust("6 minutes")
        const again = yield* took(
          Effect.all(Array.from({ length: 200 }, () => users.check("ann", "x")), { concurrency: "unbounded" })
        )
        assert.isBelow(again.millis, one.millis * 20)
      }))

    it.effect("does not mistake one for another", () =>
      Effect.gen(function*() {
        const users = yield* Users.htpasswd(`ann:${hashSync("x", 4)}\nann2:${hashSync("y", 4)}`)
        assert.isTrue(yield* users.check("ann", "x"))
        assert.isFalse(yield* users.check("ann2", "x"))
        assert.isFalse(yield* users.check("ann", "xy"))
        assert.isFalse(yield* users.check("an", "nx"))
      }))
  })
})
