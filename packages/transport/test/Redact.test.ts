import { assert, describe, it } from "@effect/vitest"
import * as UrlParams from "effect/http/UrlParams"
import * as Schema from "effect/Schema"
import * as Redact from "../src/Redact.ts"

describe("Redact", () => {
  it.each([
    ["https://a.test/v2/", "https://a.test/v2/"],
    [
      "https://a.test/token?service=s&scope=repository:a:pull",
      "https://a.test/token?service=s&scope=repository:a:pull"
    ],
    ["https://a.test/x?_state=s&digest=sha256:1", "https://a.test/x?_state=…&digest=sha256:1"],
    ["https://a.test/x?X-Amz-Signature=s&N=1&n=1", "https://a.test/x?X-Amz-Signature=…&N=…&n=1"],
    ["https://ann:s@a.test:5000/x#s", "https://a.test:5000/x"],
    ["/v2/app?s=1", "/v2/app?…"],
    ["//ann:s@a.test/x", "//a.test/x"],
    ["not a url", "not a url"]
  ])("shows of %s %s", (input, expected) => {
    assert.strictEqual(Redact.url(input), expected)
  })

  it.prop("never throws, and shows no value that it does not know", [Schema.String], ([text]) => {
    const secret = `canary${encodeURIComponent(text.replaceAll(/[\ud800-\udfff]/g, ""))}`
    assert.notInclude(Redact.url(`https://a.test/x?q=${secret}&token=${secret}`), "canary")
    Redact.url(text)
    Redact.url(`https://${text}`)
  })

  it("says the same to spans", () => {
    assert.strictEqual(
      UrlParams.redactUrl("https://ann:s@a.test/x?_state=s&scope=s&digest=d&Scope=s", Redact.parameters),
      "https://REDACTED:REDACTED@a.test/x?_state=REDACTED&scope=s&digest=d&Scope=REDACTED"
    )
  })
})
