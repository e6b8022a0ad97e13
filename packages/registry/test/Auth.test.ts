import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Redacted from "effect/Redacted"
import { TestClock } from "effect/testing"
import * as Auth from "../src/Auth.ts"
import * as MemoryStorage from "../src/MemoryStorage.ts"
import * as RegistryServer from "../src/RegistryServer.ts"
import * as Registry from "./registry.ts"

const { digestOf, encode, pushBlob, pushManifest } = Registry

const users = { ann: "s3cret", bob: Redacted.make("pass:word") }
const basic = (user: string, password: string) => ({ authorization: `Basic ${Base64.encode(`${user}:${password}`)}` })
const ann = basic("ann", "s3cret")
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

describe("Auth", () => {
  describe("bearer", () => {
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

  describe("allow", () => {
    const allow = (user: string | undefined, repository: string, action: string) =>
      user === "ann" || (user === "bob" && repository.startsWith("bob/")) ||
      (repository.startsWith("public/") && action === "pull")

    it.effect("decides for both schemes who may do what", () =>
      Effect.gen(function*() {
        for (const name of ["public/a", "bob/a", "a"]) yield* pushBlob(name, "x")
        const bob = basic("bob", "pass:word")
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
})
