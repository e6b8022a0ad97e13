import * as Credential from "@effect-oci/authn/Credential"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import { TestClock } from "effect/testing"
import * as Token from "../src/Token.ts"
import * as Internet from "./internet.ts"

const { ann, json, reply } = Internet
const identity = Credential.identityToken("canary-identity", "ann")
const pull = "repository:app:pull"
const push = "repository:app:pull,push"

const wish = (more: Partial<Token.Wish> = {}): Token.Wish => ({
  origin: "https://registry.test",
  realm: { url: new URL(Internet.realm), isTrusted: true },
  service: "r",
  scopes: [pull],
  credential: ann,
  ...more
})

/** Gives `t1`, `t2`, ... */
const server = (more: (count: number, seen: Internet.Seen) => Response | Record<string, unknown>) => {
  let count = 0
  return Internet.make((seen) => {
    const answer = more(count + 1, seen)
    if (answer instanceof Response) return answer
    return json({ token: `t${++count}`, expires_in: 300, ...answer })
  })
}

const tokens = (internet: Internet.Internet) =>
  Effect.provide(Effect.flatMap(HttpClient.HttpClient, Token.make), internet.layer)

const exchange = (internet: Internet.Internet, one: Token.Wish) =>
  Effect.provide(Effect.flatMap(HttpClient.HttpClient, (http) => Token.exchange(http, one)), internet.layer)

const valueOf = ({ value }: Token.Token) => Redacted.value(value)

describe("Token", () => {
  describe("exchange", () => {
    it.effect("asks by GET with a password, a scope a parameter", () =>
      Effect.gen(function*() {
        const internet = server(() => ({}))
        yield* exchange(internet, wish({ scopes: [push, "repository:other:pull"] }))
        const [{ headers, url } = assert.fail()] = internet.seen
        assert.deepStrictEqual(url.searchParams.getAll("scope"), [push, "repository:other:pull"])
        assert.strictEqual(url.searchParams.get("service"), "r")
        assert.strictEqual(headers["authorization"], `Basic ${btoa("ann:canary-password")}`)
      }))

    it.effect("asks by POST with an identity token", () =>
      Effect.gen(function*() {
        const internet = server(() => ({}))
        yield* exchange(internet, wish({ credential: identity, scopes: [push, "repository:other:pull"] }))
        const [{ body, headers, method, url } = assert.fail()] = internet.seen
        assert.deepStrictEqual([method, url.search], ["POST", ""])
        assert.deepInclude(Object.fromEntries(new URLSearchParams(body)), {
          grant_type: "refresh_token",
          refresh_token: "canary-identity",
          service: "r",
          scope: `${push} repository:other:pull`
        })
        assert.isUndefined(headers["authorization"])
      }))

    it.effect.each([400, 401, 403, 404, 405, 415, 501])(
      "asks by GET where POST is answered %d",
      (status) =>
        Effect.gen(function*() {
          const internet = server((_, { method }) => method === "POST" ? reply(status) : {})
          yield* exchange(internet, wish({ credential: identity }))
          assert.deepStrictEqual(internet.seen.map(({ method }) => method), ["POST", "GET"])
          assert.strictEqual(internet.seen[1]!.headers["authorization"], `Basic ${btoa("ann:canary-identity")}`)
        })
    )

    it.effect.each([429, 500, 503])(
      "does not ask by GET where POST is answered %d",
      (status) =>
        Effect.gen(function*() {
          const internet = server(() => reply(status))
          assert.isTrue((yield* Effect.flip(exchange(internet, wish({ credential: identity })))).isRetryable)
          assert.strictEqual(internet.seen.length, 1)
        })
    )

    it.effect.each([404, 405, 501])("posts a password where GET is answered %d", (status) =>
      Effect.gen(function*() {
        const internet = server((_, { method }) => method === "GET" ? reply(status) : {})
        yield* exchange(internet, wish())
        assert.deepInclude(Object.fromEntries(new URLSearchParams(internet.seen[1]!.body)), {
          grant_type: "password",
          username: "ann",
          password: "canary-password"
        })
      }))

    it.effect.each([400, 404, 405, 410, 501])(
      "never says of what it asks for that a token server answers %d",
      (status) =>
        Effect.gen(function*() {
          const internet = server(() => reply(status))
          for (const credential of [Credential.anonymous, identity, Credential.basic("ann", "canary-password")]) {
            const error = yield* Effect.flip(exchange(internet, wish({ credential })))
            assert.deepInclude(error.reason, { _tag: "NoToken", answer: { status, diagnostics: [] } })
            assert.isUndefined(error.status)
            assert.isFalse(error.isRetryable)
            assert.include(error.message, ": the token server answers ")
          }
        })
    )

    it.effect("does not send a wrong password twice", () =>
      Effect.gen(function*() {
        const internet = server(() => reply(401))
        const error = yield* Effect.flip(exchange(internet, wish()))
        assert.deepInclude(error.reason, { _tag: "Unauthorized", identified: true })
        assert.strictEqual(internet.seen.length, 1)
      }))

    it.effect.each(
      [
        [{ token: "a" }, "a", 60],
        [{ access_token: "b" }, "b", 60],
        [{ token: "", access_token: "b" }, "b", 60],
        [{ token: "a", access_token: "b", expires_in: 900 }, "a", 900],
        [{ token: "a", expires_in: "900" }, "a", 900],
        [{ token: "a", expires_in: 0 }, "a", 60],
        [{ token: "a", expires_in: -5 }, "a", 60],
        [{ token: "a", expires_in: null }, "a", 60],
        [{ token: "a", expires_in: 1e300 }, "a", 86_400]
      ] as const
    )("reads %j", ([body, value, seconds]) =>
      Effect.gen(function*() {
        const token = yield* exchange(Internet.make(() => json(body)), wish())
        assert.deepStrictEqual([valueOf(token), Duration.toSeconds(token.expiresIn)], [value, seconds])
      }))

    it.effect("B35 counts from receipt, whatever the clocks say", () =>
      Effect.gen(function*() {
        const date = "Tue, 24 Nov 2026 12:00:00 GMT"
        const left = (issued_at: string, date?: string) =>
          Effect.map(
            exchange(
              Internet.make(() => json({ token: "a", expires_in: 300, issued_at }, date === undefined ? {} : { date })),
              wish()
            ),
            ({ expiresIn }) => Duration.toSeconds(expiresIn)
          )
        // The clock here says 1970.
        assert.strictEqual(yield* left("2026-11-24T12:00:00Z"), 300)
        assert.strictEqual(yield* left("2026-11-24T12:00:00Z", date), 300)
        // A token out of the server's own cache, by its own clock.
        assert.strictEqual(yield* left("2026-11-24T11:58:00Z", date), 180)
        assert.strictEqual(yield* left("2026-11-24T11:00:00Z", date), 300)
        assert.strictEqual(yield* left("2026-11-24T13:00:00Z", date), 300)
        assert.strictEqual(yield* left("soon", date), 300)
      }))

    it.effect("A08 takes for a token only what can be one", () =>
      Effect.gen(function*() {
        const bodies = [
          "",
          "null",
          "[]",
          "\"token\"",
          "{",
          "<html>",
          // As metadata services answer.
          JSON.stringify({ Code: "Success", AccessKeyId: "ASIA", SecretAccessKey: "s", Token: "canary-token" }),
          JSON.stringify({ token: 5 }),
          JSON.stringify({ token: {} }),
          JSON.stringify({ token: "a b" }),
          JSON.stringify({ token: "a\r\nx-evil: 1" }),
          JSON.stringify({ token: "ä" }),
          JSON.stringify({ token: "a".repeat(65_537) }),
          "{\"__proto__\":{\"token\":\"a\"}}"
        ]
        for (const body of bodies) {
          const error = yield* Effect.flip(exchange(Internet.make(() => reply(200, {}, body)), wish()))
          assert.strictEqual(error.message, `GET ${error.url}: the token server's reply holds no token`)
        }
      }))
  })

  describe("make", () => {
    it.effect("keeps a token until its last minute", () =>
      Effect.gen(function*() {
        const internet = server(() => ({}))
        const { get } = yield* tokens(internet)
        assert.strictEqual(valueOf(yield* get(wish())), "t1")
        yield* TestClock.adjust("239 seconds")
        assert.strictEqual(valueOf(yield* get(wish())), "t1")
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(valueOf(yield* get(wish())), "t2")
      }))

    it.effect("keeps one that lasts a minute for half of it", () =>
      Effect.gen(function*() {
        const internet = server(() => ({ expires_in: undefined }))
        const { get } = yield* tokens(internet)
        yield* get(wish())
        yield* TestClock.adjust("29 seconds")
        assert.strictEqual(valueOf(yield* get(wish())), "t1")
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(valueOf(yield* get(wish())), "t2")
      }))

    it.effect("asks once, however many wait", () =>
      Effect.gen(function*() {
        const internet = server(() => ({}))
        const { get } = yield* tokens(internet)
        const all = yield* Effect.all(Array.from({ length: 50 }, () => get(wish())), { concurrency: "unbounded" })
        assert.deepStrictEqual(new Set(all.map(valueOf)), new Set(["t1"]))
        assert.strictEqual(internet.seen.length, 1)
      }))

    it.effect("shares a token with whom it allows more than was asked, also while it is asked for", () =>
      Effect.gen(function*() {
        const internet = server(() => ({}))
        const { get } = yield* tokens(internet)
        const both = [push, "repository:other:pull"]
        const wishes = [both, [pull], [push], both.toReversed()]
        const all = yield* Effect.forEach(wishes, (scopes) => get(wish({ scopes })), { concurrency: "unbounded" })
        assert.deepStrictEqual(all.map(valueOf), ["t1", "t1", "t1", "t1"])
        assert.strictEqual(valueOf(yield* get(wish({ scopes: ["repository:app:delete"] }))), "t2")
        assert.strictEqual(valueOf(yield* get(wish({ scopes: ["repository:app2:pull"] }))), "t3")
        assert.strictEqual(valueOf(yield* get(wish({ scopes: [] }))), "t4")
        assert.strictEqual(valueOf(yield* get(wish({ origin: "https://registry.test:5000" }))), "t5")
      }))

    it.effect("asks for less where more is refused", () =>
      Effect.gen(function*() {
        const internet = server((_, { url }) => url.searchParams.get("scope") === push ? reply(403) : {})
        const { get } = yield* tokens(internet)
        const [wide, narrow] = yield* Effect.all([
          Effect.exit(get(wish({ scopes: [push] }))),
          Effect.exit(get(wish({ scopes: [pull] })))
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual([wide._tag, narrow._tag], ["Failure", "Success"])
      }))

    it.effect("forgets what a registry did not take, and asks for no more than is needed then", () =>
      Effect.gen(function*() {
        const internet = server(() => ({}))
        const { forget, get } = yield* tokens(internet)
        const first = yield* get(wish({ scopes: [push] }))
        yield* forget(wish(), Redacted.make("another"))
        assert.strictEqual(valueOf(yield* get(wish())), "t1")
        yield* forget(wish(), first.value)
        assert.strictEqual(valueOf(yield* get(wish())), "t2")
        assert.strictEqual(internet.seen[1]!.url.searchParams.get("scope"), pull)
      }))

    it.effect("uses the refresh token that came with a token in place of the password", () =>
      Effect.gen(function*() {
        const internet = server((count) => ({ refresh_token: `r${count}` }))
        const { get } = yield* tokens(internet)
        yield* get(wish())
        yield* get(wish({ scopes: ["repository:b:pull"] }))
        yield* get(wish({ scopes: ["repository:c:pull"] }))
        assert.deepStrictEqual(
          internet.seen.map(({ body, method }) => [method, new URLSearchParams(body).get("refresh_token")]),
          [["GET", null], ["POST", "r1"], ["POST", "r2"]]
        )
        assert.deepStrictEqual(internet.seen.slice(1).filter(({ headers }) => "authorization" in headers), [])
      }))

    it.effect("keeps the last thousand refresh tokens, however many realms a registry names", () =>
      Effect.gen(function*() {
        const internet = server(() => ({ refresh_token: "r", expires_in: 2 }))
        const kept = yield* tokens(internet)
        const at = (n: number) => kept.get(wish({ realm: { url: new URL(`${Internet.realm}/${n}`), isTrusted: true } }))
        for (let n = 0; n <= 1024; n++) yield* at(n)
        yield* TestClock.adjust("2 seconds")
        yield* Effect.andThen(at(1024), at(0))
        assert.deepStrictEqual(internet.seen.slice(-2).map(({ method }) => method), ["POST", "GET"])
      }))

    it.effect("goes back to the password where a refresh token is not taken", () =>
      Effect.gen(function*() {
        const internet = server((_, { method }) => method === "POST" ? reply(400) : { refresh_token: "r" })
        const { get } = yield* tokens(internet)
        yield* get(wish())
        assert.strictEqual(valueOf(yield* get(wish({ scopes: ["repository:b:pull"] }))), "t2")
        assert.deepStrictEqual(internet.seen.map(({ method }) => method), ["GET", "POST", "GET"])
      }))

    it.effect("A21 gives each who asks a token for what they ask", () =>
      Effect.gen(function*() {
        const issued = new Map<string, string>()
        const internet = Internet.make(({ headers, url }) => {
          const token = `t${issued.size}`
          issued.set(token, `${url.host} ${url.searchParams.get("scope")} ${headers["authorization"] ?? "nobody"}`)
          return json({ token, expires_in: 300 })
        })
        const { get } = yield* tokens(internet)
        const users = [
          ann,
          Credential.basic("ann", "other"),
          Credential.basic("bob", "canary-password"),
          Credential.anonymous
        ]
        const wishes = ["a.test", "b.test"].flatMap((host) =>
          users.flatMap((credential) =>
            [1, 2, 3, 4, 5, 6].map((app) =>
              wish({
                realm: { url: new URL(`https://${host}/token`), isTrusted: true },
                scopes: [`repository:app${app}:pull`],
                credential
              })
            )
          )
        )
        yield* Effect.forEach([...wishes, ...wishes], (one) =>
          Effect.map(get(one), (token) => {
            const { credential, realm, scopes } = one
            const who = credential._tag === "Basic"
              ? `Basic ${btoa(`${credential.username}:${Redacted.value(credential.password)}`)}`
              : "nobody"
            assert.strictEqual(issued.get(valueOf(token)), `${realm.url.host} ${scopes[0]} ${who}`)
          }), { concurrency: "unbounded" })
        assert.strictEqual(issued.size, wishes.length)
      }))
  })
})
