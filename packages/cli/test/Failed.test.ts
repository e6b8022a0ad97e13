import { RegistryError, Rejected, Unauthorized } from "@effect-oci/transport/RegistryError"
import * as Warning from "@effect-oci/transport/Warning"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestConsole } from "effect/testing"
import { report } from "../src/Failed.ts"

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
