import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Redacted from "effect/Redacted"
import { TestClock } from "effect/testing"
import * as Auth from "../src/Auth.ts"
import * as DiskStorage from "../src/DiskStorage.ts"
import * as MemoryStorage from "../src/MemoryStorage.ts"
import * as Policy from "../src/Policy.ts"
import * as RegistryServer from "../src/RegistryServer.ts"
import { Storage } from "../src/Storage.ts"
import { folder, run } from "./disk.ts"
import * as Registry from "./registry.ts"

const { digestOf, encode, pushBlob, pushManifest } = Registry

const users = { ann: "s3cret", bob: Redacted.make("pass:word") }
const basic = (user: string, password: string) => ({ authorization: `Basic ${Base64.encode(`${user}:${password}`)}` })
const ann = basic("ann", "s3cret")
const bob = basic("bob", "pass:word")
const digest = digestOf("x")

const guarded = (options: Partial<Auth.Options>) =>
  Effect.map(
    Auth.guard(RegistryServer.app, { scheme: "bearer", users, ...options }),
    (app) => Registry.sendTo(app)
  )

type Send = Effect.Success<ReturnType<typeof guarded>>

const tokenOf = (send: Send, scope: string, headers: Record<string, string> = ann) =>
  Effect.map(
    send("GET", `/token?service=registry&scope=${scope}`, { headers }),
    ({ text }) => ({ authorization: `Bearer ${JSON.parse(text).token}` })
  )

/** Every endpoint, with the action that it takes. */
const endpoints: ReadonlyArray<readonly [method: string, path: string, action: string]> = [
  ["GET", `/v2/a/blobs/${digest}`, "pull"],
  ["HEAD", `/v2/a/blobs/${digest}`, "pull"],
  ["DELETE", `/v2/a/blobs/${digest}`, "delete"],
  ["GET", "/v2/a/manifests/1", "pull"],
  ["HEAD", "/v2/a/manifests/1", "pull"],
  ["PUT", "/v2/a/manifests/1", "push"],
  ["DELETE", "/v2/a/manifests/1", "delete"],
  ["GET", "/v2/a/tags/list", "pull"],
  ["GET", `/v2/a/referrers/${digest}`, "pull"],
  ["POST", "/v2/a/blobs/uploads/", "push"],
  ["GET", "/v2/a/blobs/uploads/u", "push"],
  ["PATCH", "/v2/a/blobs/uploads/u", "push"],
  ["PUT", "/v2/a/blobs/uploads/u", "push"],
  ["DELETE", "/v2/a/blobs/uploads/u", "push"]
]

/** What somebody could think of in place of a token. */
const forged = (token: string): ReadonlyArray<string> => {
  const part = (value: unknown) => Base64.encode(JSON.stringify(value)).replaceAll("=", "")
  const claims = part({
    iss: "registry",
    sub: "ann",
    aud: "registry",
    exp: 4e9,
    nbf: 0,
    access: [{ type: "repository", name: "a", actions: ["*"] }]
  })
  const jwk = { kty: "oct", k: "eA" }
  return [
    "",
    "undefined",
    "null",
    "*",
    token.toUpperCase(),
    token.slice(0, -1),
    `${token}x`,
    `${token.slice(0, -1)}${token.endsWith("0") ? "1" : "0"}`,
    `${token},${token}`,
    `${token} ${token}`,
    "00000000-0000-0000-0000-000000000000",
    `${part({ alg: "none" })}.${claims}.`,
    `${part({ alg: "HS256", typ: "JWT" })}.${claims}.${part("x")}`,
    `${part({ alg: "HS256", jwk })}.${claims}.${part("x")}`,
    `${part({ alg: "RS256", jku: "http://evil.test/keys", kid: "../../dev/null" })}.${claims}.${part("x")}`,
    `${part({ alg: "RS256", x5c: ["eA=="] })}.${claims}.${part("x")}`,
    Base64.encode("ann:s3cret"),
    "__proto__"
  ]
}

describe("Auth", () => {
  it.effect("A86: tells no page of another host or origin which passwords are right", () =>
    Effect.gen(function*() {
      for (const scheme of ["basic", "bearer"] as const) {
        const send = yield* guarded({ scheme })
        for (const headers of [ann, basic("ann", "wrong")]) {
          for (const path of ["/v2/", "/token"]) {
            const hosts = Registry.having({ hosts: ["localhost"] })
            assert.strictEqual((yield* hosts(send("GET", path, { headers }))).status, 421)
            const origin = { ...headers, origin: "http://evil.test" }
            assert.strictEqual((yield* send("GET", path, { headers: origin })).status, 403)
          }
        }
      }
    }).pipe(Effect.provide(MemoryStorage.layer)))

  describe("bearer", () => {
    it.effect("A83: takes no token but its own", () =>
      Effect.gen(function*() {
        yield* pushBlob("a", "x")
        const send = yield* guarded({})
        const { authorization } = yield* tokenOf(send, "repository:a:pull")
        assert.strictEqual((yield* send("GET", `/v2/a/blobs/${digest}`, { headers: { authorization } })).status, 200)
        const other = yield* guarded({})
        const foreign = (yield* tokenOf(other, "repository:a:pull")).authorization.slice("Bearer ".length)
        for (const value of [foreign, ...forged(authorization.slice("Bearer ".length))]) {
          for (const scheme of ["Bearer", "bearer", "Basic", "Token", "Bearer Bearer"]) {
            const headers = { authorization: `${scheme} ${value}` }
            assert.strictEqual((yield* send("GET", `/v2/a/blobs/${digest}`, { headers })).status, 401, value)
          }
        }
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("says where a token is to be had, and for what", () =>
      Effect.gen(function*() {
        const send = yield* guarded({})
        const ping = yield* send("GET", "/v2/")
        assert.deepStrictEqual([ping.status, ping.codes], [401, ["UNAUTHORIZED"]])
        assert.strictEqual(
          ping.headers["www-authenticate"],
          `Bearer realm="http://r.test/token",service="registry"`
        )
        const push = yield* send("POST", "/v2/a/b/blobs/uploads/")
        assert.include(push.headers["www-authenticate"], `scope="repository:a/b:pull,push"`)
        const elsewhere = yield* guarded({ realm: "https://auth.test/t" })
        assert.include((yield* elsewhere("GET", "/v2/")).headers["www-authenticate"], `realm="https://auth.test/t"`)
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("puts nothing of a hostile request into the challenge", () =>
      Effect.gen(function*() {
        const send = yield* guarded({})
        const { headers } = yield* send("GET", "/v2/", {
          headers: { host: `evil", x="`, "x-forwarded-proto": `javascript` }
        })
        assert.strictEqual(headers["www-authenticate"], `Bearer realm="http://localhost/token",service="registry"`)
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("A82: gives nobody anything without a token", () =>
      Effect.gen(function*() {
        yield* pushBlob("a", "x")
        yield* pushManifest("a", "1", Registry.manifest())
        const send = yield* guarded({})
        for (const [method, path] of [...endpoints, ["GET", "/v2/_catalog"], ["GET", "/"], ["GET", "/v2/A"]] as const) {
          for (const authorization of ["", "Bearer", "Bearer x", `Bearer ${crypto.randomUUID()}`, ann.authorization]) {
            const answer = yield* send(method, path, { headers: authorization === "" ? {} : { authorization } })
            assert.strictEqual(answer.status, 401, `${method} ${path}`)
          }
        }
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("A80: lets a token do what it is for, to the repository it is for", () =>
      Effect.gen(function*() {
        yield* pushBlob("a", "x")
        yield* pushManifest("a", "1", Registry.manifest())
        const send = yield* guarded({})
        for (const granted of ["pull", "push", "delete"]) {
          const headers = yield* tokenOf(send, `repository:a:${granted}`)
          const other = yield* tokenOf(send, `repository:b:${granted} repository:a/a:${granted}`)
          for (const [method, path, action] of endpoints) {
            // Only whether it passes is asked here, so that nothing is gone for those that come after.
            if (action === granted && granted !== "pull") continue
            const { status } = yield* send(method, path, { headers })
            assert.strictEqual(status === 401, action !== granted, `${granted}: ${method} ${path}`)
            assert.strictEqual((yield* send(method, path, { headers: other })).status, 401)
          }
        }
        const push = yield* tokenOf(send, "repository:a:pull,push")
        assert.strictEqual((yield* send("POST", "/v2/a/blobs/uploads/", { headers: push })).status, 202)
        const all = yield* tokenOf(send, "repository:a:*")
        assert.strictEqual((yield* send("DELETE", "/v2/a/manifests/1", { headers: all })).status, 202)
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("forgets a token when it expires", () =>
      Effect.gen(function*() {
        yield* pushBlob("a", "x")
        const send = yield* guarded({ tokenLifetime: "1 minute" })
        const headers = yield* tokenOf(send, "repository:a:pull")
        yield* TestClock.adjust("59 seconds")
        assert.strictEqual((yield* send("GET", `/v2/a/blobs/${digest}`, { headers })).status, 200)
        yield* TestClock.adjust("1 second")
        const late = yield* send("GET", `/v2/a/blobs/${digest}`, { headers })
        assert.strictEqual(late.status, 401)
        assert.include(late.headers["www-authenticate"], `error="invalid_token"`)
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("A81: mounts only from where the token may pull", () =>
      Effect.gen(function*() {
        yield* pushBlob("private", "x")
        const send = yield* guarded({})
        const mount = (query: string, headers: Record<string, string>) =>
          Effect.map(send("POST", `/v2/a/blobs/uploads/?mount=${digest}${query}`, { headers }), ({ status }) => status)
        const own = yield* tokenOf(send, "repository:a:pull,push")
        assert.strictEqual(yield* mount("&from=private", own), 202)
        assert.strictEqual(yield* mount("", own), 202)
        const both = yield* tokenOf(send, "repository:a:pull,push&scope=repository:private:pull")
        assert.strictEqual(yield* mount("&from=private", both), 201)
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("asks the policy once for each thing, and for nothing that is no repository", () =>
      Effect.gen(function*() {
        const asked: Array<string> = []
        const send = yield* guarded({
          allow: (_, repository, action) => {
            asked.push(`${repository}:${action}`)
            return true
          }
        })
        const names = [
          "a",
          "a",
          `${"b/".repeat(127)}b`,
          `${"c/".repeat(127)}cd`,
          "-".repeat(5000),
          "../a",
          "A",
          "d:e",
          ""
        ]
        const scopes = names.map((name) => `repository:${name}:pull,pull`)
        const { status } = yield* send("GET", `/token?scope=${scopes.join("&scope=")}`, { headers: ann })
        assert.strictEqual(status, 200)
        assert.deepStrictEqual(asked, ["a:pull", `${"b/".repeat(127)}b:pull`])
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("lets anybody pull where that is wanted, and do nothing else", () =>
      Effect.gen(function*() {
        yield* pushBlob("a", "x")
        yield* pushManifest("a", "1", Registry.manifest())
        const send = yield* guarded({ anonymousPull: true })
        const headers = yield* tokenOf(send, "repository:a:pull,push,delete", {})
        for (const [method, path, action] of endpoints) {
          for (const given of [{}, headers]) {
            const { status } = yield* send(method, path, { headers: given })
            assert.strictEqual(status === 401, action !== "pull", `${method} ${path}`)
          }
        }
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("gives a token for the right password only", () =>
      Effect.gen(function*() {
        const send = yield* guarded({})
        const ask = (headers: Record<string, string>) =>
          Effect.map(send("GET", "/token?scope=repository:a:pull", { headers }), ({ status }) => status)
        assert.strictEqual(yield* ask(ann), 200)
        assert.strictEqual(yield* ask(basic("bob", "pass:word")), 200)
        for (
          const headers of [
            {},
            basic("ann", "S3cret"),
            basic("ann", ""),
            basic("", ""),
            basic("constructor", "x"),
            basic("__proto__", "x"),
            { authorization: "Basic" },
            { authorization: "Basic %%%" },
            { authorization: "Basic eA==" }
          ]
        ) assert.strictEqual(yield* ask(headers), 401)
        assert.strictEqual((yield* send("PUT", "/token")).status, 405)
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("gives tokens for a form, and again for a refresh token", () =>
      Effect.gen(function*() {
        const send = yield* guarded({})
        const post = (form: Record<string, string>) =>
          Effect.map(
            send("POST", "/token", { body: encode(new URLSearchParams(form).toString()) }),
            ({ status, text }) => ({ status, json: JSON.parse(text) })
          )
        const password = { grant_type: "password", username: "ann", password: "s3cret", service: "registry" }
        const first = yield* post({ ...password, access_type: "offline", scope: "repository:a:push" })
        assert.deepStrictEqual([first.status, first.json.expires_in], [200, 300])
        const refresh = { grant_type: "refresh_token", refresh_token: first.json.refresh_token }
        const second = yield* post({ ...refresh, scope: "repository:a:push" })
        for (const { json } of [first, second]) {
          const headers = { authorization: `Bearer ${json.access_token}` }
          assert.strictEqual((yield* send("POST", "/v2/a/blobs/uploads/", { headers })).status, 202)
        }
        assert.isUndefined((yield* post(password)).json.refresh_token)
        assert.strictEqual((yield* post({ ...password, password: "x" })).status, 401)
        assert.strictEqual((yield* post({ ...refresh, refresh_token: "x" })).status, 401)
        assert.strictEqual((yield* post({ grant_type: "other" })).status, 400)
        assert.strictEqual((yield* post({})).status, 400)
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("lists the repositories to who asked for that", () =>
      Effect.gen(function*() {
        const send = yield* guarded({ anonymousPull: true })
        const catalog = (headers: Record<string, string>) =>
          Effect.map(send("GET", "/v2/_catalog", { headers }), ({ status }) => status)
        assert.strictEqual(yield* catalog(yield* tokenOf(send, "registry:catalog:*")), 200)
        assert.strictEqual(yield* catalog(yield* tokenOf(send, "repository:a:pull")), 401)
        assert.strictEqual(yield* catalog(yield* tokenOf(send, "registry:catalog:*", {})), 401)
        assert.strictEqual(yield* catalog({}), 401)
      }).pipe(Effect.provide(MemoryStorage.layer)))
  })

  describe("basic", () => {
    it.effect("asks for a password with each request", () =>
      Effect.gen(function*() {
        const send = yield* guarded({ scheme: "basic" })
        for (const [method, path] of endpoints) {
          assert.strictEqual((yield* send(method, path)).status, 401)
          assert.strictEqual((yield* send(method, path, { headers: basic("ann", "x") })).status, 401)
          assert.notStrictEqual((yield* send(method, path, { headers: ann })).status, 401)
        }
        assert.strictEqual((yield* send("GET", "/v2/")).headers["www-authenticate"], `Basic realm="registry"`)
        assert.strictEqual((yield* send("GET", "/v2/", { headers: ann })).status, 200)
        assert.strictEqual((yield* send("GET", "/token", { headers: ann })).status, 404)
      }).pipe(Effect.provide(MemoryStorage.layer)))
  })

  describe("two users", () => {
    const names = ["public/a", "ann/a", "bob/a"]
    const policy = Policy.some(Policy.user("ann", "ann/**"), Policy.user("bob", "bob/**"), Policy.anybody("public/*"))
    const who = {
      ann,
      bob: basic("bob", "pass:word"),
      anybody: {},
      stranger: basic("eve", "x"),
      liar: basic("ann", "x")
    }
    const may = (name: string, repository: string, action: string) =>
      repository.startsWith(`${name}/`) || (repository === "public/a" && action === "pull" && !(name in refused))
    // Who gives a wrong password gets nothing, not even what is anybody's.
    const refused = { stranger: true, liar: true }

    for (const scheme of ["basic", "bearer"] as const) {
      it.effect(`A80 A81 A82: each may do what is theirs at each endpoint, by ${scheme}`, () =>
        Effect.gen(function*() {
          for (const name of names) {
            yield* pushBlob(name, "x")
            yield* pushManifest(name, "1", Registry.manifest())
          }
          const send = yield* guarded({ scheme, allow: policy })
          for (const [name, credentials] of Object.entries(who)) {
            for (const repository of names) {
              for (const [method, path, action] of endpoints) {
                const allowed = may(name, repository, action)
                // What is allowed is tried where it changes nothing.
                if (allowed && method !== "GET" && method !== "HEAD") continue
                let headers: Record<string, string> = credentials
                if (scheme === "bearer") {
                  // All that can be had: for everything, everywhere.
                  const scopes = names.map((name) => `repository:${name}:*`).join("&scope=")
                  const reply = yield* send("GET", `/token?scope=${scopes}&scope=registry:catalog:*`, { headers })
                  assert.strictEqual(reply.status, name in refused ? 401 : 200)
                  headers = reply.status === 200 ? { authorization: `Bearer ${JSON.parse(reply.text).token}` } : headers
                }
                const { status } = yield* send(method, path.replace("/a/", `/${repository}/`), { headers })
                const label = `${name} ${method} ${repository} ${path}: ${status}`
                if (allowed) assert.notInclude([401, 403], status, label)
                else assert.include([401, 403], status, label)
              }
            }
          }
        }).pipe(Effect.provide(MemoryStorage.layer)))

      it.effect(`A81: nobody mounts what they may not pull, or hears of it, by ${scheme}`, () =>
        Effect.gen(function*() {
          for (const name of names) yield* pushBlob(name, "x")
          const secret = yield* pushBlob("ann/secret", "y")
          const send = yield* guarded({ scheme, allow: policy })
          const headers = scheme === "basic"
            ? who.bob
            : yield* tokenOf(
              send,
              "repository:bob/a:*&scope=repository:ann/secret:pull&scope=registry:catalog:*",
              who.bob
            )
          for (const from of ["&from=ann/secret", ""]) {
            const { status } = yield* send("POST", `/v2/bob/a/blobs/uploads/?mount=${secret}${from}`, { headers })
            assert.strictEqual(status, 202)
          }
          assert.strictEqual((yield* send("GET", `/v2/bob/a/blobs/${secret}`, { headers })).status, 404)
          const catalog = yield* send("GET", "/v2/_catalog", { headers })
          assert.deepStrictEqual(JSON.parse(catalog.text).repositories, ["bob/a", "public/a"])
        }).pipe(Effect.provide(MemoryStorage.layer)))
    }
  })

  describe("anonymousPull", () => {
    it.effect("lets anybody read by pattern, beside what users may", () =>
      Effect.gen(function*() {
        for (const name of ["public/a", "a"]) yield* pushBlob(name, "x")
        for (const scheme of ["basic", "bearer"] as const) {
          const send = yield* guarded({ scheme, anonymousPull: ["public/**"] })
          const status = (name: string, headers = {}) =>
            Effect.map(send("GET", `/v2/${name}/blobs/${digest}`, { headers }), ({ status }) => status)
          assert.deepStrictEqual([yield* status("public/a"), yield* status("a")], [200, 401])
          const headers = scheme === "basic" ? ann : yield* tokenOf(send, "repository:a:pull")
          assert.strictEqual(yield* status("a", headers), 200)
          assert.strictEqual((yield* send("POST", "/v2/public/a/blobs/uploads/")).status, 401)
        }
      }).pipe(Effect.provide(MemoryStorage.layer)))
  })

  describe("allow", () => {
    const allow = (user: string | undefined, repository: string, action: string) =>
      user === "ann" || (user === "bob" && repository.startsWith("bob/")) ||
      (repository.startsWith("public/") && action === "pull")

    it.effect("decides for both schemes who may do what", () =>
      Effect.gen(function*() {
        for (const name of ["public/a", "bob/a", "a"]) yield* pushBlob(name, "x")
        const get = (name: string) => ["GET", `/v2/${name}/blobs/${digest}`] as const
        const byPassword = yield* guarded({ scheme: "basic", allow })
        const statuses = (headers: Record<string, string>) =>
          Effect.forEach(["public/a", "bob/a", "a"], (name) =>
            Effect.map(byPassword(...get(name), { headers }), ({ status }) => status))
        assert.deepStrictEqual(yield* statuses({}), [200, 401, 401])
        assert.deepStrictEqual(yield* statuses(bob), [200, 200, 403])
        assert.deepStrictEqual(yield* statuses(ann), [200, 200, 200])
        const byToken = yield* guarded({ allow })
        const headers = yield* tokenOf(byToken, "repository:bob/a:pull,push repository:a:pull", bob)
        assert.strictEqual((yield* byToken(...get("bob/a"), { headers })).status, 200)
        assert.strictEqual((yield* byToken(...get("a"), { headers })).status, 401)
        assert.strictEqual((yield* byToken(...get("public/a"), { headers })).status, 200)
      }).pipe(Effect.provide(MemoryStorage.layer)))
  })

  describe("uploads", () => {
    const methods = ["GET", "PATCH", "PUT", "DELETE"]
    /** Opens an upload with its first bytes, and gives its location. */
    const begin = Effect.fnUntraced(function*(send: Send, headers: Record<string, string>) {
      const { location } = (yield* send("POST", "/v2/team/x/blobs/uploads/", { headers })).headers
      assert.strictEqual((yield* send("PATCH", location!, { headers, body: encode("x") })).status, 202)
      return location!
    })
    const finish = (send: Send, location: string, headers: Record<string, string>) =>
      Effect.map(send("PUT", `${location}?digest=${digest}`, { headers }), ({ status }) => status)
    const refuses = Effect.fnUntraced(function*(send: Send, location: string, headers: Record<string, string>) {
      const unknown = location.replace(/[^/]+$/, "00000000-0000-0000-0000-000000000000")
      for (const method of methods) {
        const [answer, other] = yield* Effect.forEach(
          [location, unknown],
          (at) => send(method, `${at}?digest=${digest}`, { headers })
        )
        assert.deepStrictEqual([answer!.status, answer!.codes], [404, ["BLOB_UPLOAD_UNKNOWN"]])
        assert.deepStrictEqual(answer, other)
      }
    })

    it.effect("A84: belong to the user who began them", () =>
      Effect.gen(function*() {
        for (const scheme of ["basic", "bearer"] as const) {
          const send = yield* guarded({ scheme })
          const [anns, bobs] = scheme === "basic"
            ? [ann, bob]
            : yield* Effect.forEach([ann, bob], (user) => tokenOf(send, "repository:team/x:pull,push", user))
          const location = yield* begin(send, anns!)
          yield* refuses(send, location, bobs!)
          assert.strictEqual(yield* finish(send, location, anns!), 201)
        }
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("A84: belong to that user in a folder, too, and after a restart", () =>
      run(Effect.gen(function*() {
        const path = yield* folder
        const restarted = Effect.provideServiceEffect(Storage, DiskStorage.make(path, { durable: false }))
        const send = yield* guarded({ scheme: "basic" })
        const location = yield* restarted(begin(send, ann))
        yield* restarted(refuses(send, location, bob))
        assert.strictEqual(yield* restarted(finish(send, location, ann)), 201)
      })))

    it.effect("are anybody's where nobody has to say who they are", () =>
      Effect.gen(function*() {
        const send = yield* guarded({ allow: Policy.anybody("team/**", ["pull", "push"]) })
        const token = yield* tokenOf(send, "repository:team/x:pull,push", bob)
        assert.strictEqual(yield* finish(send, yield* begin(send, {}), token), 201)
        assert.strictEqual(yield* finish(send, yield* begin(send, token), {}), 201)
      }).pipe(Effect.provide(MemoryStorage.layer)))
  })
})
