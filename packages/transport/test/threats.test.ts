/**
 * Rows of the threat table that a transport can meet, by their names. What goes over sockets is in `packages/node`, what
 * concerns endpoints in `packages/remote`.
 */
import * as Credential from "@effect-oci/authn/Credential"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as HttpBody from "effect/http/HttpBody"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as AccessScope from "../src/AccessScope.ts"
import * as Origin from "../src/Origin.ts"
import * as Realm from "../src/Realm.ts"
import * as Redact from "../src/Redact.ts"
import type { RegistryError } from "../src/RegistryError.ts"
import * as RetryPolicy from "../src/RetryPolicy.ts"
import * as Warning from "../src/Warning.ts"
import * as Internet from "./internet.ts"

const { ann, bearer, failing, get, json, manifest, realm, registry, reply, repository, secretsOf, transport } = Internet
const credentials: ReadonlyArray<Credential.Credential> = [
  ann,
  Credential.identityToken("canary-identity", "ann"),
  Credential.bearer("canary-token")
]

/** A registry that leads to `url` for tokens; everybody gives `canary-token`. */
const leadingForTokens = (url: string) =>
  Internet.make(({ headers, url: { pathname } }) =>
    pathname.startsWith("/v2/")
      ? headers["authorization"] === undefined ? bearer(url) : reply(200)
      : json({ token: "canary-token", refresh_token: "canary-refresh" })
  )

describe("threats", { timeout: 60_000 }, () => {
  describe("A02 credentials go to no realm but the registry's own and those it is paired with", () => {
    it.effect.each(
      [
        ["https://registry.test/token", true],
        ["https://registry.test:8443/token", true],
        ["https://auth.registry.test/token", false],
        ["https://auth.test/token", false],
        ["https://evil.test/token", false],
        ["https://registry.test.evil.test/token", false],
        ["https://evilregistry.test/token", false],
        ["https://paired.test/token", true],
        ["https://paired.test:8443/token", false],
        ["https://evil.test/token#@registry.test/", false],
        ["https://evil.test\\@registry.test/token", false]
      ] as const
    )("%s", ([url, isTrusted]) =>
      Effect.gen(function*() {
        const { host } = new URL(url)
        for (const credential of credentials) {
          const internet = leadingForTokens(url)
          yield* Effect.exit(
            get().pipe(
              Effect.provide(transport(internet, credential)),
              Effect.provideService(Realm.TrustedRealms, new Map([["registry.test", ["paired.test"]]]))
            )
          )
          const others = new Set(
            internet.seen.map((seen) => seen.url.host).filter((other) => other !== "registry.test")
          )
          for (const other of others) {
            assert.strictEqual(other, host)
            assert.strictEqual(
              secretsOf(internet.got(other)).length > 0,
              isTrusted && credential._tag !== "Bearer",
              internet.got(other)
            )
          }
        }
      }))

    it.effect("not with user information", () =>
      Effect.gen(function*() {
        const internet = leadingForTokens("https://registry.test@evil.test/token")
        const error = yield* failing(internet)
        assert.strictEqual(error.reason._tag, "ProtocolViolation")
        assert.deepStrictEqual(internet.asked("evil.test"), [])
      }))

    it.effect("and says why there were none", () =>
      Effect.gen(function*() {
        const internet = Internet.make(({ url }) =>
          url.host === "auth.test" ? reply(401) : bearer("https://auth.test/token")
        )
        const error = yield* failing(internet)
        assert.deepInclude(error.reason, { _tag: "Unauthorized", identified: false, withheld: "auth.test" })
        assert.include(error.hint, "auth.test")
      }))
  })

  it.effect("A03 no realm by http for a registry by https", () =>
    Effect.gen(function*() {
      for (const url of ["http://registry.test/token", "http://evil.test/token", "ftp://registry.test/", "token"]) {
        const internet = leadingForTokens(url)
        assert.strictEqual((yield* failing(internet)).reason._tag, "ProtocolViolation")
        assert.deepStrictEqual(internet.seen.map(({ url }) => url.host), ["registry.test", "registry.test"])
        assert.isFalse(internet.asked().some((asked) => asked.includes("token")))
      }
    }))

  it.effect("A04 no realm, redirect or location at an internal address, however it is spelt", () =>
    Effect.gen(function*() {
      const hosts = [
        "169.254.169.254",
        "0.0.0.0",
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "127.1",
        "0251.0376.0251.0376",
        "localhost",
        "localhost.",
        "10.0.0.1",
        "192.168.0.1",
        "172.16.0.1",
        "100.100.100.200",
        "[::1]",
        "[::]",
        "[::ffff:a9fe:a9fe]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[fd00:ec2::254]",
        "[fe80::1]"
      ]
      for (const host of hosts) {
        const url = `https://${host}/latest/meta-data`
        const redirecting = registry(({ url: { pathname } }) =>
          pathname === manifest ? reply(307, { location: url }) : undefined
        )
        const answers: ReadonlyArray<readonly [Internet.Internet, string]> = [
          [leadingForTokens(url), manifest],
          [redirecting, manifest],
          // As an upload's location is asked for.
          [registry(() => undefined), url]
        ]
        for (const [internet, path] of answers) {
          const error = yield* failing(internet, path)
          assert.deepInclude(error.reason, { _tag: "InternalAddress", host: new URL(url).hostname })
          assert.isFalse(error.isRetryable)
          assert.isTrue(internet.seen.every((seen) => seen.url.host === "registry.test"))
        }
      }
    }))

  it.effect("A04 but the user's own, and those he has named", () =>
    Effect.gen(function*() {
      const named = Origin.layer(Origin.fromEntries([["10.0.0.7:9000", {}]]))
      const internet = registry(({ url: { pathname } }) =>
        pathname === manifest ? reply(307, { location: "https://10.0.0.7:9000/blob" }) : undefined
      )
      const response = yield* get().pipe(Effect.provide(Layer.provide(transport(internet), named)))
      assert.strictEqual(response.status, 200)
      assert.deepStrictEqual(secretsOf(internet.got("10.0.0.7:9000")), [])
    }))

  it.effect("A06 no redirect of a token server is followed", () =>
    Effect.gen(function*() {
      for (const status of [301, 302, 303, 307, 308]) {
        for (const location of ["https://evil.test/", "http://169.254.169.254/", "https://registry.test/other"]) {
          const internet = registry(({ url }) => url.pathname === "/token" ? reply(status, { location }) : undefined)
          const error = yield* failing(internet)
          assert.strictEqual(error.reason._tag, "ProtocolViolation")
          assert.deepStrictEqual(internet.seen.map(({ url }) => url.pathname), ["/v2/", manifest, "/token"])
        }
      }
    }))

  it.effect("A07 service and scope stay one value each", () =>
    Effect.gen(function*() {
      const service = "a&scope=admin#x"
      const internet = registry(({ headers, url }) =>
        url.pathname !== "/token" && headers["authorization"] === undefined
          ? bearer(`${realm}?service=old&scope=old&account=kept#fragment`, `service="${service}"`)
          : undefined
      )
      yield* Effect.provide(get(), transport(internet))
      const { hash, searchParams } = internet.seen.find(({ url }) => url.pathname === "/token")!.url
      assert.deepStrictEqual([...searchParams].sort(), [
        ["account", "kept"],
        ["scope", "repository:app:pull"],
        ["service", service]
      ])
      assert.strictEqual(hash, "")
    }))

  it.effect("A08 what is no token is not passed on", () =>
    Effect.gen(function*() {
      const internet = registry(({ url }) =>
        url.pathname === "/token" ? json({ Code: "Success", Token: "canary-token" }) : undefined
      )
      assert.strictEqual((yield* failing(internet)).reason._tag, "ProtocolViolation")
      assert.notInclude(internet.got("registry.test"), "canary-token")
    }))

  it.effect.each([301, 302, 303, 307, 308])(
    "A09 no secret goes along with a redirect %d, and back",
    (status) =>
      Effect.gen(function*() {
        const internet = registry(({ url }) =>
          url.href === `https://registry.test${manifest}`
            ? reply(status, { location: "https://evil.test/1" })
            : url.href === "https://evil.test/1"
            ? reply(status, { location: "https://registry.test:8443/2" })
            : url.href === "https://registry.test:8443/2"
            ? reply(status, { location: "https://registry.test/3" })
            : undefined
        )
        yield* Effect.provide(get(), transport(internet))
        assert.deepStrictEqual(secretsOf(internet.got("evil.test") + internet.got("registry.test:8443")), [])
        assert.deepStrictEqual(
          internet.seen.slice(-4).map(({ headers, url }) => [url.href, headers["authorization"]]),
          [
            [`https://registry.test${manifest}`, "Bearer canary-token"],
            ["https://evil.test/1", undefined],
            ["https://registry.test:8443/2", undefined],
            ["https://registry.test/3", "Bearer canary-token"]
          ]
        )
      })
  )

  it.effect("A09 a challenge of another host is none of ours", () =>
    Effect.gen(function*() {
      const internet = registry(({ url }) =>
        url.pathname === manifest
          ? reply(307, { location: "https://evil.test/blob" })
          : url.host === "evil.test"
          ? reply(401, { "www-authenticate": "Bearer realm=\"https://evil.test/token\",service=\"evil\"" })
          : undefined
      )
      assert.strictEqual((yield* failing(internet)).reason._tag, "Unauthorized")
      assert.deepStrictEqual(secretsOf(internet.got("evil.test")), [])
      assert.isTrue(internet.asked("evil.test").every((asked) => !asked.includes("/token")))
    }))

  it.effect.each(["@evil.test/x", ".evil.test/x", ":8443/x", "v2/app/x", "\\evil.test/x", "//evil.test/x", "?x"])(
    "A09 a relative URL is at the registry: %s",
    (url) =>
      Effect.gen(function*() {
        const internet = registry(() => undefined)
        yield* Effect.provide(get(url), transport(internet))
        assert.isTrue(internet.seen.every(({ url }) => url.host === "registry.test"), internet.asked().join(" "))
      })
  )

  it.effect("A10 no redirect from https to http, on one host either", () =>
    Effect.gen(function*() {
      for (const location of ["http://registry.test/2", "http://evil.test/", "//registry.test:80/x", "file:///etc"]) {
        const internet = registry(({ url }) => url.pathname === manifest ? reply(307, { location }) : undefined)
        yield* Effect.exit(Effect.provide(get(), transport(internet)))
        assert.isTrue(internet.seen.every(({ url }) => url.protocol === "https:"))
      }
    }))

  it.effect("A10 a redirect has an end", () =>
    Effect.gen(function*() {
      let at = 0
      const internet = registry(({ headers, url }) =>
        headers["authorization"] !== undefined && url.pathname.startsWith("/v2/app")
          ? reply(307, { location: `${manifest}/${at++}` })
          : undefined
      )
      assert.include((yield* failing(internet)).message, "more than 10 redirects")
      assert.strictEqual(at, 11)
    }))

  it.effect("A11 an upload's location elsewhere gets the blob and no secret", () =>
    Effect.gen(function*() {
      const internet = registry(() => undefined)
      yield* Effect.flatMap(
        Internet.client([AccessScope.push(repository)]),
        (client) => client.put("https://storage.test/session?sig=x", { body: HttpBody.text("blob") })
      ).pipe(Effect.provide(transport(internet)))
      assert.deepStrictEqual(internet.seen.map(({ body, url }) => [url.host, body]).slice(-1), [[
        "storage.test",
        "blob"
      ]])
      assert.deepStrictEqual(secretsOf(internet.got("storage.test")), [])
    }))

  it.effect("A12 a blob is not sent to an internal address", () =>
    Effect.gen(function*() {
      const internet = registry(() => undefined)
      let read = 0
      const body = HttpBody.stream(
        Stream.sync(() => new Uint8Array(++read)),
        "application/octet-stream",
        1
      )
      const error = yield* Effect.flatMap(
        Internet.client([AccessScope.push(repository)]),
        (client) => client.put("http://169.254.169.254/", { body })
      ).pipe(Effect.provide(transport(internet)), Effect.flip)
      assert.strictEqual(error.reason._tag, "InternalAddress")
      assert.strictEqual(read, 0)
    }))

  describe("A20 no secret is printed", () => {
    const signed =
      "https://storage.test/b?X-Amz-Signature=canary-token&_state=canary-token&sig=canary-token&digest=sha256:1"

    it("of a URL", () => {
      assert.strictEqual(
        Redact.url(signed),
        "https://storage.test/b?X-Amz-Signature=…&_state=…&sig=…&digest=sha256:1"
      )
      assert.strictEqual(Redact.url("https://ann:canary-password@registry.test/x#canary"), "https://registry.test/x")
      assert.strictEqual(Redact.url("//ann:canary@x/y?canary"), "//x/y?…")
    })

    it.effect("of an error, whatever the request", () =>
      Effect.gen(function*() {
        const errors: Array<RegistryError> = []
        for (const user of credentials) {
          for (const status of [400, 401, 403, 404, 500]) {
            const internet = registry(({ url }) =>
              url.pathname === manifest
                ? reply(307, { location: signed })
                : url.host === "storage.test"
                ? reply(status)
                : undefined
            )
            const refusing = registry(({ url }) => url.pathname === "/token" ? reply(status) : undefined)
            for (const one of [internet, refusing]) {
              yield* get().pipe(
                Effect.catch((error) => Effect.sync(() => void errors.push(error))),
                Effect.provide(transport(one, user)),
                Effect.provideService(RetryPolicy.RetryPolicy, RetryPolicy.challenge)
              )
            }
          }
        }
        // But for a token that needs no exchange all of them fail.
        assert.strictEqual(errors.length, 25)
        for (const error of errors) {
          assert.deepStrictEqual(
            secretsOf(`${error.message} ${error.stack} ${JSON.stringify(error)} ${error.hint}`),
            []
          )
        }
      }))
  })

  it.effect("A20 nor is a secret that a registry or a token server says again", () =>
    Effect.gen(function*() {
      const echo = ({ body, headers, url }: Internet.Seen, status: number) => {
        const [, value = ""] = (headers["authorization"] ?? "").split(" ")
        const message = [value, Result.getOrElse(Base64.decodeString(value), () => ""), body].join(" ")
        const told = JSON.stringify({ errors: [{ code: "UNKNOWN", message, detail: { message } }] })
        const quoted = JSON.stringify(message)
        return reply(status, {
          warning: `299 - ${quoted}`,
          "www-authenticate": `Bearer realm="${url.origin}/token",error_description=${quoted}`
        }, told)
      }
      const printed: Array<string> = []
      for (const user of [...credentials, Credential.basic("ann", "canary-password\"+&")]) {
        for (const status of [400, 401, 403, 404, 405, 500]) {
          const basic = Internet.make((seen) =>
            seen.headers["authorization"] === undefined
              ? reply(401, { "www-authenticate": "Basic" })
              : echo(seen, status)
          )
          const registries = [
            basic,
            registry((seen) => seen.url.pathname === manifest ? echo(seen, status) : undefined),
            registry((seen) => seen.url.pathname === "/token" ? echo(seen, status) : undefined)
          ]
          for (const one of registries) {
            yield* get().pipe(
              Effect.catch((error) =>
                Effect.sync(() => void printed.push(`${error.message} ${JSON.stringify(error)} ${error.hint}`))
              ),
              Effect.provide(transport(one, user)),
              Effect.provideService(RetryPolicy.RetryPolicy, RetryPolicy.challenge),
              Effect.provideService(Warning.OnWarning, ({ text }) => Effect.sync(() => void printed.push(text)))
            )
          }
        }
      }
      assert.isAbove(printed.length, 60)
      assert.isTrue(printed.some((text) => text.includes("…")))
      for (const text of printed) assert.deepStrictEqual(secretsOf(text), [])
    }))

  it.effect("A22 no header is made of a secret that holds a line break", () =>
    Effect.gen(function*() {
      for (const token of ["canary-token\r\nx-evil: 1", "canary token", "canary-token\u0000", "tökén"]) {
        const internet = registry(() => undefined)
        const error = yield* failing(internet, manifest, Credential.bearer(token))
        assert.strictEqual(error.reason._tag, "NoCredentials")
        assert.notInclude(error.message, "canary")
        assert.isTrue(internet.seen.every(({ headers }) => headers["authorization"] === undefined))
      }
      const internet = Internet.make(({ headers }) =>
        headers["authorization"] === undefined ? reply(401, { "www-authenticate": "Basic" }) : reply(200)
      )
      yield* Effect.provide(get(), transport(internet, Credential.basic("a\r\nx-evil: 1", "b\r\nc")))
      assert.match(internet.seen.at(-1)!.headers["authorization"]!, /^Basic [A-Za-z0-9+/]+=*$/)
    }))
})
