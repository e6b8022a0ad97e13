import { RegistryError, Rejected, Unauthorized, Unreachable } from "@effect-oci/transport/RegistryError"
import * as Warning from "@effect-oci/transport/Warning"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { ServeError } from "effect/http/HttpServerError"
import * as PlatformError from "effect/PlatformError"
import { TestConsole } from "effect/testing"
import { report, unexpected } from "../src/Failed.ts"

const escapes = "\u001b]0;evil\u0007\r\u009b31mred\u202etxt"
const failed = (reason: RegistryError["reason"]) =>
  report(Effect.fail(new RegistryError({ method: "GET", url: "https://a.test/", reason }))).pipe(
    Effect.exit,
    Effect.andThen(TestConsole.errorLines)
  )

describe("Failed", () => {
  it.effect("says what has failed, and what can be done", () =>
    Effect.gen(function*() {
      const reason = new Unauthorized({ status: 401, diagnostics: [], challenges: [], identified: true })
      assert.deepStrictEqual(yield* failed(reason), [
        "effect-oci: GET https://a.test/: 401 authentication required",
        "  The credentials were refused; log in again."
      ])
      const [, hint] = yield* failed(
        new Unreachable({ detail: "connect ECONNREFUSED", code: "ECONNREFUSED", transient: true })
      ).pipe(
        Effect.map((lines) => lines.slice(2))
      )
      assert.match(String(hint), /Nothing listens there/)
    }))

  it.effect("says of what nobody expected no more than a line and a hint", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(unexpected(Effect.die(new RangeError("out of\nrange"))))
      assert.isTrue(Exit.isFailure(exit) && !Exit.hasDies(exit))
      const [line, ...hints] = yield* TestConsole.errorLines
      assert.strictEqual(line, "effect-oci: out of range")
      assert.strictEqual(hints.length, 1)
    }))

  it.effect("says of a file what is the matter with it", () =>
    Effect.gen(function*() {
      const options = { module: "FileSystem", method: "access", pathOrDescriptor: "/a.json" } as const
      for (const _tag of ["NotFound", "PermissionDenied"] as const) {
        yield* Effect.exit(report(Effect.fail(PlatformError.systemError({ ...options, _tag }))))
      }
      assert.deepStrictEqual(yield* TestConsole.errorLines, [
        "effect-oci: /a.json: not found",
        "effect-oci: /a.json: permission denied"
      ])
    }))

  it.effect("looks for words in the cause, and has none for a reader who has read enough", () =>
    Effect.gen(function*() {
      yield* Effect.exit(report(Effect.fail(new ServeError({ cause: new Error("address already in use") }))))
      const cause = Object.assign(new Error("write EPIPE"), { code: "EPIPE" })
      const closed = PlatformError.systemError({ _tag: "Unknown", module: "Stdio", method: "stdout", cause })
      assert.isTrue(Exit.isFailure(yield* Effect.exit(report(Effect.fail(closed)))))
      assert.deepStrictEqual(yield* TestConsole.errorLines, ["effect-oci: address already in use"])
    }))

  it.effect("A26 lets a terminal see nothing of a registry but its words", () =>
    Effect.gen(function*() {
      const diagnostics = [{ code: `X${escapes}`, message: escapes, detail: undefined }]
      const lines = yield* failed(new Rejected({ status: 400, diagnostics }))
      const warned = yield* report(Effect.flatMap(Warning.OnWarning, (tell) => tell({ host: "a.test", text: escapes })))
        .pipe(Effect.andThen(TestConsole.errorLines))
      assert.strictEqual(warned.length, lines.length + 1)
      assert.match(String(warned.at(-1)), /^effect-oci: a\.test warns: /)
      for (const line of warned) assert.notMatch(String(line), /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/)
    }))
})
