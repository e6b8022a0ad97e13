/**
 * Passwords compared on a thread of their own, so that no request waits for those of others.
 *
 * @since 1.0.0
 */
import * as Users from "@effect-oci/registry/Users"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { extname } from "node:path"
import { Worker } from "node:worker_threads"
import type { Question } from "./internal/bcrypt.ts"

type Resume = (answer: Effect.Effect<boolean, unknown>) => void

// Among sources it is a source, and in a bundle it is what that is made of.
const start = () =>
  new Worker(new URL(`./internal/bcrypt${extname(import.meta.url)}`, import.meta.url), {
    name: "effect-oci passwords",
    // Nothing of what the program was started with is for it: neither secrets nor what is to be loaded before all else.
    env: {},
    execArgv: []
  })

/**
 * Compares passwords on a thread that is there from the first one until the scope is closed, and keeps no program alive.
 *
 * **Details**
 *
 * Where there can be none, as under `--permission` without `--allow-worker` or in a bundle of one's own, a warning says so once,
 * and passwords are compared as they were before: others wait for that, but nobody is shut out.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make: Effect.Effect<Users.Compare, never, Scope.Scope> = Effect.gen(function*() {
  const otherwise = yield* Users.Comparing
  const waiting: Array<Resume> = []
  let worker: Worker | undefined
  const tellAll = (answer: Effect.Effect<never, unknown>) => {
    for (const resume of waiting.splice(0)) resume(answer)
  }
  const started = () => {
    const made = start()
    made.on("message", (isRight: boolean) => {
      // It answers in the order in which it is asked.
      waiting.shift()?.(Effect.succeed(isRight))
      if (waiting.length === 0) made.unref()
    })
    made.on("error", (error) => tellAll(Effect.fail(error)))
    made.on("exit", () => {
      worker = undefined
      tellAll(Effect.fail("the thread has ended"))
    })
    return made
  }
  const ask = (question: Question) =>
    Effect.callback<boolean, unknown>((resume) => {
      waiting.push(resume)
      try {
        worker ??= started()
        worker.ref()
        worker.postMessage(question)
      } catch (error) {
        tellAll(Effect.fail(error))
      }
    })

  let compare: Users.Compare = (password, hash) =>
    Effect.catch(ask({ password, hash }), (error) => {
      const warned = compare === otherwise
        ? Effect.void
        : Effect.logWarning("passwords are compared on the main thread, as none of their own is to be had", error)
      compare = otherwise
      return Effect.andThen(warned, otherwise(password, hash))
    })
  yield* Effect.addFinalizer(() =>
    Effect.promise(async () => {
      // Nobody hears any more whether it was right.
      compare = () => Effect.interrupt
      tellAll(Effect.interrupt)
      await worker?.terminate()
    })
  )
  return (password, hash) => Effect.suspend(() => compare(password, hash))
})

/**
 * Compares passwords on a thread from here on.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<never> = Layer.effect(Users.Comparing, make)
