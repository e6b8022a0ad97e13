import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Warning from "../src/Warning.ts"
import * as Internet from "./internet.ts"

describe("Warning", () => {
  describe("parse", () => {
    it.each([
      ["299 - \"old\"", ["old"]],
      ["299 - \"a, b\", 299 - \"c\"", ["a, b", "c"]],
      ["299 - \"a\" \"Tue, 24 Nov 2026 12:00:00 GMT\", 299 - \"b\"", ["a", "b"]],
      ["299 - \"say \\\"b\\\"\"", ["say \"b\""]],
      ["299 - \"a\", 299 - \"a\"", ["a"]],
      ["199 - \"other code\", 299 - \"a\"", ["a"]],
      ["299 proxy \"other agent\"", []],
      ["299 - unquoted", []],
      ["299 - \"never closed", []],
      ["299 - \"\"", []],
      ["", []],
      [",,,", []],
      ["299 - \"\u001b]0;evil\u0007red\r\nnext\u202etxt\"", ["]0;evil red next txt"]]
    ])("reads %j", (header, expected) => {
      assert.deepStrictEqual(Warning.parse(header), expected)
    })

    it("reads 4,096 characters", () => {
      assert.strictEqual(Warning.parse(`299 - "${"a".repeat(5000)}"`).length, 0)
      const many = Array.from({ length: 1000 }, (_, at) => `299 - "${at}"`).join(", ")
      assert.isBelow(Warning.parse(many).join("").length, 4096)
    })

    it.prop("never throws, and lets no control character through", [Schema.String], ([text]) => {
      for (const warning of Warning.parse(`299 - "${text}"`)) assert.notMatch(warning, /[\u0000-\u001f\u007f-\u009f]/)
    })
  })

  it.effect("tells of each once, whoever asks", () =>
    Effect.gen(function*() {
      const internet = Internet.make(({ url }) =>
        Internet.reply(200, { warning: `299 - "old"${url.pathname.endsWith("/2") ? ", 299 - \"older\"" : ""}` })
      )
      const told: Array<Warning.Warning> = []
      yield* Effect.forEach([1, 2, 2, 1], (at) => Internet.get(`/v2/app/manifests/${at}`)).pipe(
        Effect.provideService(Warning.OnWarning, (warning) => Effect.sync(() => void told.push(warning))),
        Effect.provide(Internet.transport(internet))
      )
      assert.deepStrictEqual(told, [{ host: "registry.test", text: "old" }, { host: "registry.test", text: "older" }])
    }))

  it.effect("ends somewhere", () =>
    Effect.gen(function*() {
      const tell = Warning.make()
      let told = 0
      for (let at = 0; at < 2000; at++) {
        yield* Effect.provideService(
          tell("registry.test", `299 - "${at}"`),
          Warning.OnWarning,
          () => Effect.sync(() => void told++)
        )
      }
      assert.strictEqual(told, 1000)
    }))
})
