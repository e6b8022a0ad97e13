/**
 * The credentials of Kubernetes' pull secrets, read as the kubelet reads them.
 *
 * @since 1.0.0
 */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import { AuthnError } from "./AuthnError.ts"
import * as Credential from "./Credential.ts"
import * as DockerConfig from "./DockerConfig.ts"
import * as Json from "./internal/json.ts"
import * as Keychain from "./Keychain.ts"

const own = (u: unknown, key: string): unknown => Json.isObject(u) && Object.hasOwn(u, key) ? u[key] : undefined

/**
 * The keychain of pull secrets: `Secret` objects as parsed JSON, lists of them, or their `data` alone.
 *
 * **Details**
 *
 * A secret's `.dockerconfigjson` is a Docker config, its legacy `.dockercfg` the `auths` of one; in base64, or as text as in
 * `stringData`. Keys may have wildcards, none of which crosses a dot, and paths, which end at a slash. Of all secrets the most
 * specific key is believed, of equal ones the first. A secret that cannot be read is a failure where no other knows anybody.
 * Other secrets, and helpers that a config names, are passed over: what comes from a cluster starts no program.
 *
 * @category constructors
 * @since 1.0.0
 */
export const fromSecrets = (...secrets: ReadonlyArray<unknown>): Keychain.Resolve => {
  const entries = new Map<string, DockerConfig.Entry>()
  let failure: AuthnError | undefined
  for (const secret of secrets.flatMap(itemsOf)) {
    const config = configOf(secret)
    if (config === undefined) continue
    if (Result.isFailure(config)) {
      failure ??= config.failure
      continue
    }
    for (const [key, { credential }] of config.success.entries) {
      const isKnown = entries.has(key) || Result.isSuccess(credential) && credential.success._tag === "Anonymous"
      if (!isKnown) entries.set(key, { credential, helper: undefined })
    }
  }
  const resolve = DockerConfig.keychain(
    { source: "pull secrets", entries, credsStore: undefined },
    () => Effect.succeed(Credential.anonymous)
  )
  const broken = failure
  return broken === undefined ? resolve : Keychain.firstOf(resolve, () => Effect.fail(broken))
}

const itemsOf = (secret: unknown): ReadonlyArray<unknown> => {
  const items = own(secret, "items")
  return Array.isArray(items) ? items : [secret]
}

/** The config in a secret, or `undefined` when it is of another kind. */
const configOf = (secret: unknown): Result.Result<DockerConfig.DockerConfig, AuthnError> | undefined => {
  const metadata = own(secret, "metadata")
  const names = [own(metadata, "namespace"), own(metadata, "name")].filter((name) => typeof name === "string")
  const source = ["pull secret", ...(names.length === 0 ? [] : [names.join("/")])].join(" ")
  for (const data of [own(secret, "data"), own(secret, "stringData"), secret]) {
    for (const key of [".dockerconfigjson", ".dockercfg"]) {
      const value = own(data, key)
      if (typeof value !== "string") continue
      const text = textOf(value)
      return text === undefined
        ? Result.fail(new AuthnError({ source, reason: "Malformed", detail: `its ${key} is not base64` }))
        : DockerConfig.parse(
          new TextEncoder().encode(key === ".dockercfg" ? `{"auths":${text}}` : text),
          source,
          { wildcards: true }
        )
    }
  }
  return undefined
}

/** Base64 never begins with a brace. */
const textOf = (value: string): string | undefined =>
  value.trimStart().startsWith("{")
    ? value
    : Result.getOrUndefined(Base64.decodeString(value.replaceAll(/\s/g, "")))
