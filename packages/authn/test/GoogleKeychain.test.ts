import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Redacted from "effect/Redacted"
import { TestClock } from "effect/testing"
import { createVerify, generateKeyPairSync } from "node:crypto"
import * as GoogleKeychain from "../src/GoogleKeychain.ts"
import { cloud, show, within } from "./cloud.ts"

const endpoint = "POST https://oauth2.googleapis.com/token"
const metadata = "GET http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"

const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
const serviceAccount = {
  type: "service_account",
  project_id: "acme",
  private_key_id: "1",
  private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
  client_email: "robot@acme.iam.gserviceaccount.com",
  // Not believed.
  token_uri: "https://evil.test/token"
}
const user = { type: "authorized_user", client_id: "c1", client_secret: "c2", refresh_token: "c3" }

const homeWith = Effect.fnUntraced(function*(path: string, value: unknown) {
  const fs = yield* FileSystem.FileSystem
  const home = yield* fs.makeTempDirectoryScoped()
  yield* fs.makeDirectory(`${home}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true })
  yield* fs.writeFileString(`${home}/${path}`, JSON.stringify(value))
  return home
}, Effect.provide(NodeServices.layer))

describe("GoogleKeychain", () => {
  it.effect("exchanges a user's refresh token at Google, for Google's hosts", () =>
    Effect.gen(function*() {
      const HOME = yield* homeWith(".config/gcloud/application_default_credentials.json", user)
      const { layer, seen } = cloud({ [endpoint]: { body: { access_token: "ya29.a", expires_in: 3599 } } })
      const resolve = yield* Effect.provide(GoogleKeychain.make, within({ HOME }, layer))
      for (const host of ["gcr.io", "eu.gcr.io", "europe-west1-docker.pkg.dev", "gcr.io:443"]) {
        assert.strictEqual(yield* show(resolve, host), "oauth2accesstoken ya29.a")
      }
      assert.deepStrictEqual(seen.map(({ call }) => call), [endpoint])
      assert.deepStrictEqual(Object.fromEntries(new URLSearchParams(seen[0]!.body)), {
        grant_type: "refresh_token",
        client_id: "c1",
        client_secret: "c2",
        refresh_token: "c3"
      })
    }))

  it.effect("signs for a service account, and believes no endpoint that its key names", () =>
    Effect.gen(function*() {
      const home = yield* homeWith("key.json", serviceAccount)
      const { layer, seen } = cloud({ [endpoint]: { body: { access_token: "ya29.b", expires_in: 3599 } } })
      const resolve = yield* Effect.provide(
        GoogleKeychain.make,
        within({ GOOGLE_APPLICATION_CREDENTIALS: `${home}/key.json` }, layer)
      )
      assert.strictEqual(yield* show(resolve, "gcr.io"), "oauth2accesstoken ya29.b")
      assert.deepStrictEqual(seen.map(({ call }) => call), [endpoint])
      const parameters = new URLSearchParams(seen[0]!.body)
      assert.strictEqual(parameters.get("grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer")
      const [header, claims, signature] = parameters.get("assertion")!.split(".")
      assert.isTrue(
        createVerify("RSA-SHA256").update(`${header}.${claims}`).verify(publicKey, signature!, "base64url")
      )
      assert.deepStrictEqual(JSON.parse(Buffer.from(claims!, "base64url").toString()), {
        iss: "robot@acme.iam.gserviceaccount.com",
        scope: "https://www.googleapis.com/auth/cloud-platform",
        aud: "https://oauth2.googleapis.com/token",
        iat: 0,
        exp: 3600
      })
    }))

  it.effect("exchanges a workload's token, and that for a service account's", () =>
    Effect.gen(function*() {
      const sts = "POST https://sts.googleapis.com/v1/token"
      const account =
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b.iam.gserviceaccount.com" +
        ":generateAccessToken"
      const home = yield* homeWith("token.json", { value: "a.b.c" })
      const format = { type: "json", subject_token_field_name: "value" }
      const workload = {
        type: "external_account",
        audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
        subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
        token_url: "https://evil.test/token",
        credential_source: { file: `${home}/token.json`, format }
      }
      const github = {
        ...workload,
        service_account_impersonation_url: account,
        credential_source: { url: "https://ids.test/token?x=1", headers: { "x-ask": "as" }, format }
      }
      const { layer, seen } = cloud({
        "GET https://ids.test/token": { body: { value: "d.e.f" } },
        [sts]: { body: { access_token: "federated", expires_in: 3599 } },
        [`POST ${account}`]: { body: { accessToken: "ya29.e", expireTime: "1970-01-01T01:00:00Z" } }
      })
      const ask = (key: unknown) =>
        Effect.flatMap(
          Effect.provide(GoogleKeychain.fromJson(Redacted.make(JSON.stringify(key))), within({}, layer)),
          (resolve) => show(resolve, "gcr.io")
        )
      assert.strictEqual(yield* ask(workload), "oauth2accesstoken federated")
      assert.strictEqual(yield* ask(github), "oauth2accesstoken ya29.e")
      assert.deepStrictEqual(
        seen.map(({ call }) => call),
        [sts, "GET https://ids.test/token", sts, `POST ${account}`]
      )
      assert.deepInclude(Object.fromEntries(new URLSearchParams(seen[0]!.body)), {
        audience: workload.audience,
        subject_token: "a.b.c",
        subject_token_type: workload.subject_token_type
      })
      assert.strictEqual(seen[1]!.headers["x-ask"], "as")
      assert.strictEqual(seen[3]!.headers["authorization"], "Bearer federated")
      for (
        const evil of [
          { ...github, service_account_impersonation_url: account.replace("googleapis.com", "evil.test") },
          { ...github, service_account_impersonation_url: `https://evil.test/?${account}` },
          { ...workload, credential_source: { url: "http://ids.test/token" } },
          { ...workload, credential_source: { executable: { command: "evil" } } },
          { ...workload, credential_source: { file: `${home}/none.json` } }
        ]
      ) {
        const error = yield* Effect.flip(ask(evil))
        assert.strictEqual(error.reason, "Malformed")
      }
      assert.strictEqual(seen.length, 4)
    }))

  it.effect("asks the machine's own service account, and again before its token ends", () =>
    Effect.gen(function*() {
      const headers = { "metadata-flavor": "Google" }
      const { layer, seen } = cloud({
        [metadata]: [
          { headers, body: { access_token: "ya29.c", expires_in: 1000, token_type: "Bearer" } },
          { headers, body: { access_token: "ya29.d", expires_in: 1000, token_type: "Bearer" } }
        ]
      })
      const resolve = yield* Effect.provide(GoogleKeychain.make, within({}, layer))
      assert.strictEqual(yield* show(resolve, "gcr.io"), "oauth2accesstoken ya29.c")
      yield* TestClock.adjust("699 seconds")
      assert.strictEqual(yield* show(resolve, "gcr.io"), "oauth2accesstoken ya29.c")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* show(resolve, "gcr.io"), "oauth2accesstoken ya29.d")
      assert.deepStrictEqual(seen.map(({ headers }) => headers["metadata-flavor"]), ["Google", "Google"])
    }))

  it.effect("is nobody on a machine that has no service account, or where another answers", () =>
    Effect.gen(function*() {
      for (const answer of [undefined, { status: 404, body: "x" }, { body: { access_token: "evil" } }]) {
        const { layer } = cloud(answer === undefined ? {} : { [metadata]: answer })
        const resolve = yield* Effect.provide(GoogleKeychain.make, within({}, layer))
        assert.strictEqual(yield* show(resolve, "gcr.io"), "Anonymous")
      }
    }))

  it.effect("says what is wrong with a key, and nothing of what is in it", () =>
    Effect.gen(function*() {
      for (
        const [key, detail] of [
          ["s3cret", "it is not a JSON object"],
          [JSON.stringify({ type: "s3cret" }), "none of service_account, authorized_user"],
          [JSON.stringify({ ...user, client_secret: "s3cret", refresh_token: 1 }), "it has no refresh_token"],
          [JSON.stringify({ ...serviceAccount, private_key: "s3cret" }), "is not an RSA key as PEM"],
          [JSON.stringify({ ...user, refresh_token: "s3cret" }), "400 invalid_grant"]
        ] as const
      ) {
        const { layer } = cloud({
          [endpoint]: { status: 400, body: { error: "invalid_grant", error_description: "Bad s3cret" } }
        })
        const resolve = yield* Effect.provide(GoogleKeychain.fromJson(Redacted.make(key)), within({}, layer))
        const error = yield* Effect.flip(show(resolve, "gcr.io"))
        assert.include(error.message, detail)
        assert.notInclude(JSON.stringify(error) + String(error), "s3cret")
      }
      const { layer } = cloud({})
      const resolve = yield* Effect.provide(
        GoogleKeychain.make,
        within({ GOOGLE_APPLICATION_CREDENTIALS: "/nonexistent/key.json" }, layer)
      )
      assert.include((yield* Effect.flip(show(resolve, "gcr.io"))).message, "/nonexistent/key.json")
    }))
})
