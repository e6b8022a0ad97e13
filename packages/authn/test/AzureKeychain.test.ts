import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Redacted from "effect/Redacted"
import { TestClock } from "effect/testing"
import * as AzureKeychain from "../src/AzureKeychain.ts"
import { cloud, show, within } from "./cloud.ts"

const exchange = "POST https://acmereg.azurecr.io/oauth2/exchange"
const login = "POST https://login.microsoftonline.com/tenant/oauth2/v2.0/token"
const imds = "GET http://169.254.169.254/metadata/identity/oauth2/token"
const access = { token_type: "Bearer", expires_in: 3599, access_token: "aad" }
const zeros = "00000000-0000-0000-0000-000000000000"

const principal = { AZURE_TENANT_ID: "tenant", AZURE_CLIENT_ID: "client", AZURE_CLIENT_SECRET: "s3cret" }

const parametersOf = (body: string) => Object.fromEntries(new URLSearchParams(body))

describe("AzureKeychain", () => {
  it.effect("exchanges a service principal's token at the registry", () =>
    Effect.gen(function*() {
      const { layer, seen } = cloud({ [login]: { body: access }, [exchange]: { body: { refresh_token: "acr" } } })
      const resolve = yield* Effect.provide(AzureKeychain.make(), within(principal, layer))
      assert.strictEqual(yield* show(resolve, "acmereg.azurecr.io"), `${zeros} acr`)
      assert.strictEqual(yield* show(resolve, "acmereg.azurecr.io"), `${zeros} acr`)
      assert.deepStrictEqual(seen.map(({ call }) => call), [login, exchange])
      assert.deepStrictEqual(parametersOf(seen[0]!.body), {
        grant_type: "client_credentials",
        scope: "https://containerregistry.azure.net/.default",
        client_id: "client",
        client_secret: "s3cret"
      })
      assert.deepStrictEqual(parametersOf(seen[1]!.body), {
        grant_type: "access_token",
        service: "acmereg.azurecr.io",
        access_token: "aad"
      })
      yield* TestClock.adjust("1 hour")
      yield* show(resolve, "acmereg.azurecr.io")
      assert.strictEqual(seen.length, 4)
    }))

  it.effect.each(
    [
      ["acmereg.azurecr.cn", "https://login.chinacloudapi.cn"],
      ["acmereg.azurecr.us", "https://login.microsoftonline.us"]
    ] as const
  )("asks for %s at %s", ([host, authority]) =>
    Effect.gen(function*() {
      const { layer } = cloud({
        [`POST ${authority}/tenant/oauth2/v2.0/token`]: { body: access },
        [`POST https://${host}/oauth2/exchange`]: { body: { refresh_token: "acr" } }
      })
      const resolve = yield* Effect.provide(AzureKeychain.make(), within(principal, layer))
      assert.strictEqual(yield* show(resolve, host), `${zeros} acr`)
    }))

  it.effect("shows a pod's own token", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const AZURE_FEDERATED_TOKEN_FILE = `${yield* fs.makeTempDirectoryScoped()}/token`
      yield* fs.writeFileString(AZURE_FEDERATED_TOKEN_FILE, "a.b.c\n")
      const { layer, seen } = cloud({ [login]: { body: access }, [exchange]: { body: { refresh_token: "acr" } } })
      const env = { AZURE_TENANT_ID: "tenant", AZURE_CLIENT_ID: "client", AZURE_FEDERATED_TOKEN_FILE }
      const resolve = yield* Effect.provide(AzureKeychain.make(), within(env, layer))
      assert.strictEqual(yield* show(resolve, "acmereg.azurecr.io"), `${zeros} acr`)
      assert.deepInclude(parametersOf(seen[0]!.body), {
        client_assertion: "a.b.c",
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
      })
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("asks the machine's own identity", () =>
    Effect.gen(function*() {
      const { layer, seen } = cloud({ [imds]: { body: access }, [exchange]: { body: { refresh_token: "acr" } } })
      const resolve = yield* Effect.provide(AzureKeychain.make(), within({ AZURE_CLIENT_ID: "client" }, layer))
      assert.strictEqual(yield* show(resolve, "acmereg.azurecr.io"), `${zeros} acr`)
      assert.strictEqual(seen[0]!.headers["metadata"], "true")
      assert.deepStrictEqual(parametersOf(seen[0]!.query), {
        "api-version": "2018-02-01",
        resource: "https://containerregistry.azure.net",
        client_id: "client"
      })
      const app = cloud({
        "GET http://127.0.0.1:41234/msi/token": { body: access },
        [exchange]: { body: { refresh_token: "acr" } }
      })
      const env = { IDENTITY_ENDPOINT: "http://127.0.0.1:41234/msi/token", IDENTITY_HEADER: "s3cret" }
      const service = yield* Effect.provide(AzureKeychain.make(), within(env, app.layer))
      assert.strictEqual(yield* show(service, "acmereg.azurecr.io"), `${zeros} acr`)
      assert.strictEqual(app.seen[0]!.headers["x-identity-header"], "s3cret")
      const evil = { ...env, IDENTITY_ENDPOINT: "http://evil.test/msi/token" }
      const refusing = yield* Effect.provide(AzureKeychain.make(), within(evil, app.layer))
      assert.include((yield* Effect.flip(show(refusing, "acmereg.azurecr.io"))).message, "IDENTITY_ENDPOINT")
      assert.strictEqual(app.seen.length, 2)
    }))

  it.effect("is nobody where there is no such machine, and asks no registry then", () =>
    Effect.gen(function*() {
      for (const answers of [{}, { [imds]: { status: 400, body: { error: "invalid_request" } } }]) {
        const { layer, seen } = cloud(answers)
        const resolve = yield* Effect.provide(AzureKeychain.make(), within({}, layer))
        assert.strictEqual(yield* show(resolve, "acmereg.azurecr.io"), "Anonymous")
        assert.deepStrictEqual(seen.map(({ call }) => call), [imds])
      }
    }))

  it.effect("says what is refused by its code, and nothing that was sent", () =>
    Effect.gen(function*() {
      const { layer } = cloud({
        [login]: { status: 401, body: { error: "invalid_client", error_description: "s3cret" } }
      })
      const resolve = yield* Effect.provide(AzureKeychain.make(), within(principal, layer))
      const error = yield* Effect.flip(show(resolve, "acmereg.azurecr.io"))
      assert.strictEqual(error.message, `credentials from Azure: ${login}: 401 invalid_client`)
    }))

  it.effect("takes a token from somewhere else", () =>
    Effect.gen(function*() {
      const { layer, seen } = cloud({ [exchange]: { body: { refresh_token: "acr" } } })
      const token = Effect.succeed(Redacted.make("given"))
      const resolve = yield* Effect.provide(AzureKeychain.make({ token }), within(principal, layer))
      assert.strictEqual(yield* show(resolve, "acmereg.azurecr.io"), `${zeros} acr`)
      assert.strictEqual(parametersOf(seen[0]!.body)["access_token"], "given")
    }))
})
