import * as Repository from "@effect-oci/name/Repository"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as KubernetesKeychain from "../src/KubernetesKeychain.ts"

const base64 = (text: string) => Buffer.from(text).toString("base64")
const auth = (user: string) => ({ auth: base64(`${user}:p`) })

const secret = (name: string, auths: Record<string, unknown>) => ({
  apiVersion: "v1",
  kind: "Secret",
  type: "kubernetes.io/dockerconfigjson",
  metadata: { name, namespace: "default" },
  data: { ".dockerconfigjson": base64(JSON.stringify({ auths })) }
})

const user = (secrets: ReadonlyArray<unknown>, repository: string) =>
  Effect.map(
    KubernetesKeychain.fromSecrets(...secrets)(Repository.parseUnsafe(repository)),
    (credential) => credential._tag === "Basic" ? credential.username : credential._tag
  )

describe("KubernetesKeychain", () => {
  it.effect.each(
    [
      ["kubernetes.io", "abc.kubernetes.io/x", "Anonymous"],
      ["*.kubernetes.io", "kubernetes.io/x", "Anonymous"],
      ["*.kubernetes.io", "abc.kubernetes.io/x", "u"],
      ["*.*.kubernetes.io", "abc.kubernetes.io/x", "Anonymous"],
      ["*.*.kubernetes.io", "abc.def.kubernetes.io/x", "u"],
      ["prefix.*.io", "prefix.kubernetes.io/x", "u"],
      ["*-good.kubernetes.io", "prefix-good.kubernetes.io/x", "u"],
      ["*.azurecr.io", "acme.azurecr.io.evil.test/x", "Anonymous"],
      ["gcr.io/foo", "gcr.io/foo/bar", "u"],
      ["gcr.io/foo", "gcr.io/foobar", "Anonymous"],
      ["https://gcr.io/v1/foo", "gcr.io/foo/bar", "u"],
      ["*.gcr.io/foo", "eu.gcr.io/foo/bar", "u"],
      ["registry.example:5000", "registry.example/x", "Anonymous"],
      ["registry.example:5000", "registry.example:5000/x", "u"],
      ["index.docker.io", "ubuntu", "u"],
      ["https://index.docker.io/v1/", "docker.io/library/ubuntu", "u"],
      ["docker.io", "ghcr.io/x", "Anonymous"]
    ] as const
  )("a secret for %s is asked for %s: %s", ([key, repository, expected]) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* user([secret("s", { [key]: auth("u") })], repository), expected)
    }))

  it.effect("reads every form that a secret has", () =>
    Effect.gen(function*() {
      const config = JSON.stringify({ auths: { "gcr.io": auth("u") } })
      const legacy = JSON.stringify({ "gcr.io": { ...auth("u"), email: "a@b.c" } })
      for (
        const form of [
          { data: { ".dockerconfigjson": base64(config) } },
          { data: { ".dockerconfigjson": base64(config).replaceAll(/.{20}/g, "$&\n") } },
          { stringData: { ".dockerconfigjson": config } },
          { ".dockerconfigjson": base64(config) },
          { ".dockerconfigjson": config },
          { data: { ".dockercfg": base64(legacy) } },
          { kind: "SecretList", items: [{ data: { token: "eA==" } }, { data: { ".dockercfg": base64(legacy) } }] }
        ]
      ) {
        assert.strictEqual(yield* user([form], "gcr.io/x"), "u", JSON.stringify(form))
      }
    }))

  it.effect("believes the most specific key of all secrets, and the first of equal ones", () =>
    Effect.gen(function*() {
      const secrets = [
        secret("a", { "*.gcr.io": auth("many"), "eu.gcr.io": {} }),
        secret("b", { "eu.gcr.io": auth("host") }),
        secret("c", { "eu.gcr.io/team": auth("folder"), "eu.gcr.io": auth("late") })
      ]
      assert.strictEqual(yield* user(secrets, "us.gcr.io/x"), "many")
      assert.strictEqual(yield* user(secrets, "eu.gcr.io/x"), "host")
      assert.strictEqual(yield* user(secrets, "eu.gcr.io/team/x"), "folder")
    }))

  it.effect("lets no broken secret harm another, and names it where nobody else is known", () =>
    Effect.gen(function*() {
      const broken = { metadata: { name: "bad", namespace: "ns" }, data: { ".dockerconfigjson": "@s3cret@" } }
      const secrets = [broken, secret("good", { "gcr.io": auth("u"), "ghcr.io": { auth: "@" } })]
      assert.strictEqual(yield* user(secrets, "gcr.io/x"), "u")
      const error = yield* Effect.flip(user(secrets, "quay.io/x"))
      assert.strictEqual(error.message, "credentials from pull secret ns/bad: its .dockerconfigjson is not base64")
      assert.include((yield* Effect.flip(user(secrets, "ghcr.io/x"))).message, "default/good")
    }))

  it.effect.prop("never throws", [Schema.Json, Schema.Json], ([auths, form]) =>
    Effect.gen(function*() {
      const config = JSON.stringify({ auths, credHelpers: auths })
      const resolve = KubernetesKeychain.fromSecrets(
        form,
        { data: form },
        { items: form },
        { data: { ".dockerconfigjson": config } },
        { data: { ".dockercfg": JSON.stringify(auths) } },
        secret("s", { "gcr.io": auth("u") })
      )
      const credential = yield* resolve(Repository.parseUnsafe("gcr.io/x"))
      assert.strictEqual(credential._tag === "Basic" && credential.username, "u")
    }))

  it.effect("starts no helper", () =>
    Effect.gen(function*() {
      const config = { credsStore: "evil", credHelpers: { "gcr.io": "evil" }, auths: { "gcr.io": auth("u") } }
      const form = { ".dockerconfigjson": JSON.stringify(config) }
      assert.strictEqual(yield* user([form], "gcr.io/x"), "u")
      assert.strictEqual(yield* user([form], "ghcr.io/x"), "Anonymous")
    }))

  it.effect.each([undefined, null, 1, "x", [], {}, { items: null }, { data: [] }, { data: { ".dockercfg": 1 } }])(
    "knows nobody from %j",
    (form) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* user([form], "gcr.io/x"), "Anonymous")
      })
  )
})
