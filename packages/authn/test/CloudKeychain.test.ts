import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as CloudKeychain from "../src/CloudKeychain.ts"
import { cloud, show, within } from "./cloud.ts"

/** An environment that is somebody in each cloud. */
const ambient = {
  GITHUB_TOKEN: "ghs_1",
  GITHUB_ACTOR: "ann",
  AWS_ACCESS_KEY_ID: "AKIA1",
  AWS_SECRET_ACCESS_KEY: "s3cret",
  AZURE_TENANT_ID: "tenant",
  AZURE_CLIENT_ID: "client",
  AZURE_CLIENT_SECRET: "s3cret",
  EFFECT_OCI_KEYCHAINS: "github, google,aws azure"
}

const answers = {
  "GET http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token": {
    headers: { "metadata-flavor": "Google" },
    body: { access_token: "ya29", expires_in: 3599 }
  },
  "POST https://api.ecr.us-east-1.amazonaws.com/": {
    body: { authorizationData: [{ authorizationToken: btoa("AWS:p"), expiresAt: 43_200 }] }
  },
  "POST https://login.microsoftonline.com/tenant/oauth2/v2.0/token": { body: { access_token: "aad" } },
  "POST https://acmereg.azurecr.io/oauth2/exchange": { body: { refresh_token: "acr" } }
}

const lookAlikes = [
  "ghcr.io.evil.test",
  "xghcr.io",
  "x.ghcr.io",
  "ghcr.io:444",
  "ghcr.com",
  "docker.pkg.github.com",
  "gcr.io.evil.test",
  "xgcr.io",
  "evil-gcr.io",
  "gcr.io:5000",
  "eu.gcr.io.evil.test",
  "eu-gcr.io",
  "pkg.dev",
  "evilpkg.dev",
  "europe-docker-pkg.dev",
  "europe-docker.pkg.dev.evil.test",
  "europe-docker.pkg.dev:8443",
  "123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.test",
  "123456789012.dkr.ecr.us-east-1.amazonaws.com:444",
  "123456789012.dkr.ecr.us-east-1.amazonaws.com.cn.evil.test",
  "123456789012.dkr.ecr.us-east-1.evilamazonaws.com",
  "123456789012.dkr.ecr.evil.us-east-1.amazonaws.com",
  "123456789012.dkr.ecr.x.amazonaws.com",
  "evil.dkr.ecr.us-east-1.amazonaws.com",
  "12345678901.dkr.ecr.us-east-1.amazonaws.com",
  "x.123456789012.dkr.ecr.us-east-1.amazonaws.com",
  "123456789012-dkr.ecr.us-east-1.amazonaws.com",
  "123456789012.dkr.ecr.us-east-1.s3.amazonaws.com",
  "123456789012.dkr-ecr.us-east-1.on.aws.evil.test",
  "123456789012.dkr-ecr.us-east-1.amazonaws.com",
  "123456789012.dkr.ecr.us-east-1.on.aws",
  "public.ecr.aws.evil.test",
  "x.public.ecr.aws",
  "public-ecr.aws",
  "public.ecr.aws:80",
  "acmereg.azurecr.io.evil.test",
  "acmereg.azurecr.io:444",
  "azurecr.io",
  "acmereg-azurecr.io",
  "acmereg.evilazurecr.io",
  "acmereg.azurecr.com",
  "docker.io",
  "localhost:5000"
]

describe("CloudKeychain", () => {
  it.effect("knows the hosts of each cloud", () =>
    Effect.gen(function*() {
      const { layer } = cloud(answers)
      const resolve = yield* Effect.provide(CloudKeychain.make, within(ambient, layer))
      assert.strictEqual(yield* show(resolve, "ghcr.io"), "ann ghs_1")
      assert.strictEqual(yield* show(resolve, "gcr.io"), "oauth2accesstoken ya29")
      assert.strictEqual(yield* show(resolve, "123456789012.dkr.ecr.us-east-1.amazonaws.com"), "AWS p")
      assert.match(yield* show(resolve, "acmereg.azurecr.io"), / acr$/)
    }))

  it.effect.each(lookAlikes)("A15: is nobody to %s, and asks no cloud about it", (host) =>
    Effect.gen(function*() {
      const { layer, seen } = cloud(answers)
      const resolve = yield* Effect.provide(CloudKeychain.make, within(ambient, layer))
      assert.strictEqual(yield* show(resolve, host), "Anonymous")
      assert.deepStrictEqual(seen, [])
    }))

  it.effect("is nobody until the environment names it", () =>
    Effect.gen(function*() {
      const { layer, seen } = cloud(answers)
      const resolve = yield* Effect.provide(
        CloudKeychain.make,
        within({ ...ambient, EFFECT_OCI_KEYCHAINS: "" }, layer)
      )
      for (const host of ["ghcr.io", "gcr.io", "acmereg.azurecr.io"]) {
        assert.strictEqual(yield* show(resolve, host), "Anonymous")
      }
      assert.deepStrictEqual(seen, [])
    }))

  it.effect("says which name it does not know", () =>
    Effect.gen(function*() {
      const { layer } = cloud(answers)
      const env = { ...ambient, EFFECT_OCI_KEYCHAINS: "github,gitlab" }
      const resolve = yield* Effect.provide(CloudKeychain.make, within(env, layer))
      assert.strictEqual(yield* show(resolve, "ghcr.io"), "ann ghs_1")
      assert.include((yield* Effect.flip(show(resolve, "quay.io"))).message, "\"gitlab\"")
    }))

  it.effect("takes an empty GITHUB_TOKEN for none", () =>
    Effect.gen(function*() {
      const { layer } = cloud(answers)
      const resolve = yield* Effect.provide(CloudKeychain.make, within({ ...ambient, GITHUB_TOKEN: "" }, layer))
      assert.strictEqual(yield* show(resolve, "ghcr.io"), "Anonymous")
    }))
})
