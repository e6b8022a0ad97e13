import * as Registry from "@effect-oci/name/Registry"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { inspect } from "node:util"
import type { AuthnError } from "../src/AuthnError.ts"
import * as AwsCredentials from "../src/AwsCredentials.ts"
import * as CloudKeychain from "../src/CloudKeychain.ts"
import * as Credential from "../src/Credential.ts"
import * as CredentialFile from "../src/CredentialFile.ts"
import * as CredentialHelper from "../src/CredentialHelper.ts"
import * as DockerConfig from "../src/DockerConfig.ts"
import * as FileKeychain from "../src/FileKeychain.ts"
import * as GoogleKeychain from "../src/GoogleKeychain.ts"
import * as Keychain from "../src/Keychain.ts"
import * as KubernetesKeychain from "../src/KubernetesKeychain.ts"
import * as MachineKeychain from "../src/MachineKeychain.ts"
import { cloud } from "./cloud.ts"
import { install } from "./helper.ts"

const canary = "c4n4ry-t0ken"
const ghcr = Registry.parseUnsafe("ghcr.io")
const base64 = (text: string) => Buffer.from(text).toString("base64")
// As it is, and as a part of anything in base64.
const traces = [canary, ...[0, 1, 2].map((skip) => base64("x".repeat(skip) + canary).slice(4, 14))]

const shown = (value: unknown): string =>
  [
    String(value),
    JSON.stringify(value) ?? "",
    inspect(value, { depth: 20, showHidden: true, getters: true }),
    value instanceof Error ? Cause.pretty(Cause.fail(value)) : ""
  ].join("\n")

/** All that is said while an effect runs, and of what comes of it. */
const said = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
  const lines: Array<string> = []
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const exit = yield* Effect.exit(effect).pipe(
    Effect.provide(Layer.mergeAll(
      Logger.layer([
        Logger.map(Logger.formatJson, (line) => lines.push(line)),
        Logger.map(Logger.formatLogFmt, (line) => lines.push(line))
      ]),
      Layer.succeed(References.MinimumLogLevel, "All"),
      Layer.succeed(Tracer.Tracer, tracer)
    ))
  )
  const result = exit._tag === "Success" ? shown(exit.value) : [shown(exit.cause), Cause.pretty(exit.cause)].join("\n")
  return [
    result,
    ...lines,
    ...spans.map((span) => inspect([span.name, [...span.attributes], span.events, span.status], { depth: 20 }))
  ].join("\n")
})

/** Each way to look up or to keep a secret, well and badly. */
const ways: Record<
  string,
  Effect.Effect<unknown, unknown, NodeServices.NodeServices | HttpClient.HttpClient | Scope.Scope>
> = {
  credentials: Effect.succeed([
    Credential.basic("u", canary),
    Credential.bearer(canary),
    Credential.identityToken(canary),
    Credential.identity(Credential.basic("u", canary))
  ]),
  entries: Keychain.fromEntries([["ghcr.io", Credential.basic("u", canary)]])(ghcr),
  "a config": Effect.fromResult(
    DockerConfig.parse(
      new TextEncoder().encode(JSON.stringify({ auths: { "ghcr.io": { auth: base64(`u:${canary}`) } } })),
      "x"
    )
  ),
  ...Object.fromEntries(
    [
      JSON.stringify({ auths: { "ghcr.io": { auth: base64(`u:${canary}`) } } }),
      JSON.stringify({ auths: { "ghcr.io": { auth: base64(canary) } } }),
      JSON.stringify({ auths: { "ghcr.io": { auth: `!${canary}` } } }),
      JSON.stringify({ auths: { "ghcr.io": canary } }),
      JSON.stringify({ auths: canary }),
      JSON.stringify({ auths: { "ghcr.io": { identitytoken: canary } } }),
      `{"auths":{"ghcr.io":{"auth":"${canary}"}}`,
      canary
    ].flatMap((
      text
    ): ReadonlyArray<readonly [string, Effect.Effect<unknown, AuthnError, NodeServices.NodeServices>]> => [
      [`text ${text}`, Effect.flatMap(FileKeychain.fromText(text, "DOCKER_AUTH_CONFIG"), (resolve) => resolve(ghcr))],
      [`secret ${text}`, KubernetesKeychain.fromSecrets({ data: { ".dockerconfigjson": text } })(ghcr)],
      [`secret ${text} in base64`, KubernetesKeychain.fromSecrets({ data: { ".dockercfg": base64(text) } })(ghcr)]
    ])
  ),
  "a machine": Effect.flatMap(MachineKeychain.make(), (resolve) => resolve(ghcr)).pipe(
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({
      EFFECT_OCI_REGISTRY: "ghcr.io",
      EFFECT_OCI_USERNAME: "u",
      EFFECT_OCI_PASSWORD: canary
    })))
  ),
  "a machine that is broken": Effect.flatMap(
    MachineKeychain.make({ whenBroken: "anonymous" }),
    (resolve) => resolve(ghcr)
  ).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({
    EFFECT_OCI_PASSWORD: canary,
    DOCKER_AUTH_CONFIG: `{"auths":"${canary}`
  })))),
  ...Object.fromEntries(
    [
      `echo '{"Username":"u","Secret":"${canary}"}'`,
      `echo '{"Username":"<token>","Secret":"${canary}"}'`,
      `echo ${canary}; echo ${canary} >&2; exit 1`,
      `echo '["${canary}"]'`,
      `echo '{"Username":1,"Secret":"${canary}"'`
    ].map((script) => [
      script,
      Effect.andThen(install("canary", script), CredentialHelper.get("canary", ghcr))
    ])
  ),
  ...Object.fromEntries(
    ["{}", "{\"credsStore\":\"broken\"}", "[", "{\"auths\":1}"].map((text) => [
      `login to ${text}`,
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const file = `${yield* fs.makeTempDirectoryScoped()}/config.json`
        yield* install("broken", "cat; cat >&2; exit 1")
        yield* fs.writeFileString(file, text)
        yield* CredentialFile.login(file, "ghcr.io", "u", Redacted.make(canary))
      })
    ])
  ),
  "keys of AWS": Effect.flatten(AwsCredentials.make).pipe(
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({
      AWS_ACCESS_KEY_ID: "AKIA1",
      AWS_SECRET_ACCESS_KEY: canary,
      AWS_SESSION_TOKEN: canary
    })))
  ),
  "a key of Google's": Effect.flatMap(
    GoogleKeychain.fromJson(
      Redacted.make(
        JSON.stringify({ type: "authorized_user", client_id: canary, client_secret: canary, refresh_token: canary })
      )
    ),
    (resolve) => resolve(Registry.parseUnsafe("gcr.io"))
  ),
  ...Object.fromEntries(
    ["ghcr.io", "gcr.io", "123456789012.dkr.ecr.us-east-1.amazonaws.com", "acmereg.azurecr.io"].map((host) => [
      `a cloud for ${host}`,
      Effect.flatMap(CloudKeychain.make, (resolve) => resolve(Registry.parseUnsafe(host))).pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({
          EFFECT_OCI_KEYCHAINS: "github,google,aws,azure",
          GITHUB_TOKEN: canary,
          AWS_ACCESS_KEY_ID: "AKIA1",
          AWS_SECRET_ACCESS_KEY: canary,
          AWS_SESSION_TOKEN: canary,
          AZURE_TENANT_ID: "tenant",
          AZURE_CLIENT_ID: "client",
          AZURE_CLIENT_SECRET: canary
        })))
      )
    ])
  )
}

const google = "POST https://oauth2.googleapis.com/token"
const login = "POST https://login.microsoftonline.com/tenant/oauth2/v2.0/token"
const azure = "POST https://acmereg.azurecr.io/oauth2/exchange"
const aws = "POST https://api.ecr.us-east-1.amazonaws.com/"
const machine = "GET http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"
const headers = { "metadata-flavor": "Google" }

const clouds = {
  give: cloud({
    [google]: { body: { access_token: canary, expires_in: 3600 } },
    [machine]: { headers, body: { access_token: canary, expires_in: 3600 } },
    [login]: { body: { access_token: canary } },
    [azure]: { body: { refresh_token: canary } },
    [aws]: { body: { authorizationData: [{ authorizationToken: base64(`AWS:${canary}`), expiresAt: 1 }] } }
  }),
  refuse: cloud(Object.fromEntries(
    [google, machine, login, azure, aws].map((call) => [call, {
      headers,
      status: 400,
      body: { error: "invalid_grant", error_description: canary, __type: "Refused", message: canary }
    }])
  )),
  babble: cloud(Object.fromEntries(
    [google, machine, login, azure, aws].map((call) => [call, { headers, body: `"${canary}` }])
  )),
  "are silent": cloud({})
}

describe("a secret", () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    for (const [mood, { layer }] of Object.entries(clouds)) {
      it.effect(`A20: is in no error, log, span or value when clouds ${mood}`, () =>
        Effect.gen(function*() {
          for (const [way, effect] of Object.entries(ways)) {
            const text = yield* Effect.scoped(Effect.provide(said(effect), layer))
            assert.isAbove(text.length, 0)
            for (const trace of traces) assert.notInclude(text, trace, way)
          }
        }), 60_000)
    }
  })
})
