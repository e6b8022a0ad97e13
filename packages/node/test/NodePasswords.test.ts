import * as Users from "@effect-oci/registry/Users"
import { assert, describe, it } from "@effect/vitest"
import { hashSync } from "bcryptjs"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { once } from "node:events"
import type { Worker } from "node:worker_threads"
import * as NodePasswords from "../src/NodePasswords.ts"
import * as NodeRegistry from "../src/NodeRegistry.ts"

/** The threads that are started from here on. */
const threads = Effect.gen(function*() {
  const all: Array<Worker> = []
  const add = (worker: Worker) => void all.push(worker)
  yield* Effect.acquireRelease(
    Effect.sync(() => process.on("worker", add)),
    () => Effect.sync(() => process.off("worker", add))
  )
  return all
})

// No thread that has ended has a number.
const isThere = ({ threadId }: Worker): boolean => threadId > 0

describe("NodePasswords", () => {
  it.live("compares passwords on one thread, from the first one until the scope is closed", () =>
    Effect.gen(function*() {
      const all = yield* threads
      const scope = yield* Scope.make()
      const compare = Context.get(yield* Layer.buildWithScope(NodePasswords.layer, scope), Users.Comparing)
      assert.lengthOf(all, 0)
      const hash = hashSync("x", 4)
      const answers = yield* Effect.forEach(["x", "y", "", "x", "😀"], (password) => compare(password, hash), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(answers, [true, false, false, true, false])
      assert.deepStrictEqual(all.map(isThere), [true])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(all.map(isThere), [false])
    }))

  it.live("hears of no password for which nobody waits any longer when the scope is closed", () =>
    Effect.gen(function*() {
      const all = yield* threads
      const scope = yield* Scope.make()
      const compare = yield* Scope.provide(NodePasswords.make, scope)
      const slow = yield* Effect.forkChild(compare("x", hashSync("x", 4).replace("$04$", "$16$")), {
        startImmediately: true
      })
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(slow)))
      assert.isTrue(Exit.hasInterrupts(yield* Effect.exit(compare("x", ""))))
      assert.deepStrictEqual(all.map(isThere), [false])
    }))

  it.live("goes on where its thread is taken away", () =>
    Effect.gen(function*() {
      const all = yield* threads
      const compare = yield* NodePasswords.make
      const hash = hashSync("x", 4)
      assert.isTrue(yield* compare("x", hash))
      const ended = once(all[0]!, "exit")
      yield* Effect.promise(() => all[0]!.terminate())
      yield* Effect.promise(() => ended)
      // While nobody waits, for another thread; else without one.
      assert.isTrue(yield* compare("x", hash))
      const asked = yield* Effect.forkChild(compare("x", hash.replace("$04$", "$05$")), { startImmediately: true })
      yield* Effect.promise(() => all[1]!.terminate())
      assert.isFalse(yield* Fiber.join(asked))
      assert.isTrue(yield* compare("x", hash))
      assert.lengthOf(all, 2)
    }))

  it.live("lets a registry answer all others while it finds out that a password is wrong", () =>
    Effect.gen(function*() {
      const all = yield* threads
      const scope = yield* Scope.make()
      const users = yield* Users.htpasswd(`ann:${hashSync("x", 12)}\nbob:${hashSync("x", 4)}`)
      const host = yield* Scope.provide(
        NodeRegistry.serve({ auth: { scheme: "basic", users, anonymousPull: ["public/**"] } }),
        scope
      )
      const told: Array<number> = []
      const get = (path: string, login?: string) =>
        Effect.promise(async (signal) => {
          const headers = login === undefined ? {} : { authorization: `Basic ${btoa(login)}` }
          const { status } = await fetch(`http://${host}/v2/${path}`, { headers, signal })
          told.push(status)
          return status
        })
      assert.strictEqual(yield* get("public/app/manifests/1"), 404)
      assert.lengthOf(all, 0)
      assert.strictEqual(yield* get("", "bob:x"), 200)
      // As there is as much time after a hash as it took, and the first one took that of the thread's start.
      assert.strictEqual(yield* get("", "bob:y"), 401)
      told.length = 0
      const wrong = yield* Effect.forEach(["1", "2", "3"], (password) => Effect.forkChild(get("", `ann:${password}`)))
      // One after the other, and not one waits for a hash.
      for (let n = 0; n < 20; n++) {
        assert.strictEqual(yield* get("public/app/manifests/1"), 404)
        assert.strictEqual(yield* get("", "bob:x"), 200)
      }
      assert.notInclude(told, 401)
      assert.deepStrictEqual(all.map(isThere), [true])
      assert.strictEqual(yield* Fiber.join(wrong[0]!), 401)
      yield* Fiber.interruptAll(wrong)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(all.map(isThere), [false])
    }))
})
