import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Equal from "effect/Equal"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Reference from "../src/Reference.ts"

const hex = "a".repeat(64)
const digest = `sha256:${hex}`

const Component = Schema.String.check(Schema.isPattern(/^[a-z0-9]{1,6}(?:(?:\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}$/))
const TagText = Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/))

const message = (input: string) => Result.getOrThrow(Result.flip(Reference.parse(input))).message

describe("Reference", () => {
  describe("parse", () => {
    it.each([
      ["ubuntu", "docker.io/library/ubuntu:latest"],
      ["ubuntu:22.04", "docker.io/library/ubuntu:22.04"],
      ["docker.io/ubuntu", "docker.io/library/ubuntu:latest"],
      ["index.docker.io/library/ubuntu", "docker.io/library/ubuntu:latest"],
      ["registry-1.docker.io/grafana/grafana:10", "docker.io/grafana/grafana:10"],
      ["docker.io:443/ubuntu", "docker.io/library/ubuntu:latest"],
      ["localhost/foo", "localhost/foo:latest"],
      ["localhost:5000", "docker.io/library/localhost:5000"],
      ["localhost:5000/foo:tag", "localhost:5000/foo:tag"],
      ["[::1]:5000/foo", "[::1]:5000/foo:latest"],
      ["127.0.0.2/foo", "127.0.0.2/foo:latest"],
      ["a.b", "docker.io/library/a.b:latest"],
      ["a.b/c", "a.b/c:latest"],
      ["FOO.com/bar", "foo.com/bar:latest"],
      [`foo@${digest}`, `docker.io/library/foo@${digest}`],
      [`ghcr.io/a/b:1@${digest}`, `ghcr.io/a/b:1@${digest}`],
      [`foo@sha512:${"b".repeat(128)}`, `docker.io/library/foo@sha512:${"b".repeat(128)}`],
      ["a.b/c__d/e--f.g", "a.b/c__d/e--f.g:latest"]
    ])("reads %s as %s", (input, expected) => {
      assert.strictEqual(Reference.format(Reference.parseUnsafe(input)), expected)
    })

    it.each([
      "",
      ":tag",
      "foo:",
      "foo:-tag",
      "foo:.tag",
      "Foo/bar",
      "foo//bar",
      "foo/",
      "/foo",
      "foo/../bar",
      "foo..bar",
      "-foo",
      "foo-",
      "foo___bar",
      "https://gcr.io/foo",
      "user@gcr.io/foo",
      "user:p@gcr.io/foo",
      "gcr.io:abc/foo",
      "gcr.io:/foo",
      "gcr.io:0/foo",
      "gcr.io:65536/foo",
      "gcr.io:99999999/foo",
      "gcr.io/",
      "::1/foo",
      "[::1%eth0]:5000/foo",
      "[10.0.0.1]/foo",
      "256.1.1.1/foo",
      "127.1/foo",
      "0x7f.1/foo",
      "bücher.example/foo",
      "gcr.io/f%2fo",
      " foo",
      "foo ",
      "foo\n",
      hex,
      `ghcr.io/${hex}`,
      `foo@${digest.toUpperCase()}`,
      `foo@sha256:${"a".repeat(63)}`,
      `foo@sha256:${"a".repeat(65)}`,
      `foo@md5:${"a".repeat(32)}`,
      `foo@${digest}@${digest}`,
      `foo:@${digest}`,
      `foo@${digest}:tag`,
      `foo:${"t".repeat(129)}`,
      "a".repeat(256)
    ])("refuses %j", (input) => {
      assert.isTrue(Result.isFailure(Reference.parse(input)))
    })

    it("takes the default tag only where neither tag nor digest is given", () => {
      assert.strictEqual(Reference.parseUnsafe(`foo@${digest}`).tag, undefined)
      assert.strictEqual(Reference.parseUnsafe("foo", { defaultTag: "edge" }).tag, "edge")
      assert.strictEqual(Reference.parseUnsafe("foo", { defaultTag: "" }).tag, undefined)
    })

    it("checks its defaults as it does its input", () => {
      assert.isTrue(Result.isFailure(Reference.parse("foo", { defaultTag: "no tag" })))
      assert.isTrue(Result.isFailure(Reference.parse("foo", { defaultRegistry: "no registry" })))
      assert.strictEqual(
        String(Reference.parseUnsafe("foo", { defaultRegistry: "ghcr.io" })),
        "ghcr.io/foo:latest"
      )
    })

    it("quotes the input, names the rule, and suggests what may have been meant", () => {
      assert.strictEqual(message("A/b"), "Invalid repository \"A/b\": must be lowercase (did you mean \"a/b\"?)")
      assert.strictEqual(
        message("https://ghcr.io/a/b:1"),
        "Invalid repository \"https://ghcr.io/a/b\": must not have a scheme (did you mean \"ghcr.io/a/b:1\"?)"
      )
      assert.include(message("x".repeat(10_000)), "…")
      assert.isBelow(message("x".repeat(10_000)).length, 512)
    })

    it.prop(
      "reads what it writes",
      [Arbitrary.array(Arbitrary.schema(Component)), TagText],
      ([parts, tag]) => {
        const input = `registry.example:5000/${["app", ...parts].slice(0, 6).join("/")}:${tag}`
        const reference = Reference.parseUnsafe(input)
        assert.strictEqual(Reference.format(reference), input)
        assert.isTrue(Equal.equals(Reference.parseUnsafe(Reference.format(reference)), reference))
      }
    )

    it.prop("never throws", [Schema.String], ([input]) => {
      const result = Reference.parse(input)
      if (Result.isSuccess(result)) {
        const text = Reference.format(result.success)
        assert.strictEqual(Reference.format(Reference.parseUnsafe(text)), text)
      }
    })

    it.prop("refuses whatever follows a digest", [Schema.NonEmptyString], ([more]) => {
      assert.isTrue(Result.isFailure(Reference.parse(`foo@${digest}${more}`)))
    })

    it.each(["a", "a-", "-", "a.", "a/", ":", "@", "[", "a_", "A", "%"])(
      "takes a million times %j in its stride",
      (unit) => {
        assert.isTrue(Result.isFailure(Reference.parse(unit.repeat(1_000_000))))
        assert.isTrue(Result.isFailure(Reference.parse(`a.b/${unit.repeat(1_000_000)}!`)))
      }
    )
  })

  it("is equal by its canonical text", () => {
    assert.isTrue(
      Equal.equals(Reference.parseUnsafe("ubuntu"), Reference.parseUnsafe("docker.io/library/ubuntu:latest"))
    )
    assert.isFalse(Equal.equals(Reference.parseUnsafe("ubuntu"), Reference.parseUnsafe("debian")))
  })

  it("is text as JSON, and comes back from it", () => {
    const reference = Reference.parseUnsafe("ghcr.io/a/b:1")
    assert.strictEqual(JSON.stringify({ reference }), "{\"reference\":\"ghcr.io/a/b:1\"}")
    const decoded = Schema.decodeSync(Reference.ReferenceFromString)("ghcr.io/a/b:1")
    assert.isTrue(Equal.equals(decoded, reference))
    assert.strictEqual(Schema.encodeSync(Reference.ReferenceFromString)(decoded), "ghcr.io/a/b:1")
  })
})
