/**
 * Docker's `config.json`, and Podman's `auth.json`, which has the same form: credentials by registry, in the file or with a
 * helper.
 *
 * @since 1.0.0
 */
import type * as Registry from "@effect-oci/name/Registry"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import { AuthnError } from "./AuthnError.ts"
import * as Credential from "./Credential.ts"
import type * as CredentialHelper from "./CredentialHelper.ts"
import * as CredentialKey from "./CredentialKey.ts"
import * as Json from "./internal/json.ts"
import type { Resolve } from "./Keychain.ts"

/**
 * What a file says about one key.
 *
 * @category models
 * @since 1.0.0
 */
export interface Entry {
  readonly helper: string | undefined
  /**
   * A failure where it cannot be read: for its own key only.
   */
  readonly credential: Result.Result<Credential.Credential, AuthnError>
}

/**
 * What a file says.
 *
 * @category models
 * @since 1.0.0
 */
export interface DockerConfig {
  /**
   * The file, for errors.
   */
  readonly source: string
  /**
   * By key, as `CredentialKey.normalize` spells it.
   */
  readonly entries: ReadonlyMap<string, Entry>
  /**
   * The helper of all registries that have none of their own.
   */
  readonly credsStore: string | undefined
}

/**
 * Options for `parse`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * Whether keys of `auths` may have wildcards, as Kubernetes reads them. Those of `credHelpers` always may: a helper is
   * told the registry, and knows whose it is.
   *
   * @default false
   */
  readonly wildcards?: boolean | undefined
}

const textOf = (u: unknown): string | undefined => typeof u === "string" && u !== "" ? u : undefined

/**
 * The largest config that is read, in bytes.
 *
 * @category constants
 * @since 1.0.0
 */
export const maxSize = 8 * 1024 * 1024

/**
 * Reads a config.
 *
 * **Details**
 *
 * An empty file is an empty config. Keys that are not about credentials are passed over.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parse = (
  bytes: Uint8Array,
  source: string,
  options?: Options | undefined
): Result.Result<DockerConfig, AuthnError> => {
  const malformed = (detail: string) => new AuthnError({ source, reason: "Malformed", detail })
  if (bytes.length > maxSize) return Result.fail(malformed("it is larger than 8 MiB"))
  const text = new TextDecoder().decode(bytes).trim()
  let json: unknown = {}
  if (text !== "") {
    try {
      json = JSON.parse(text)
    } catch {
      return Result.fail(malformed("it is not JSON"))
    }
  }
  if (!Json.isObject(json)) return Result.fail(malformed("it is not a JSON object"))
  const entries = new Map<string, Entry>()
  for (const [key, value] of entriesOf(json, "auths")) {
    const normalized = CredentialKey.normalize(key, options)
    if (normalized === undefined) continue
    const read = entryOf(value)
    const credential = typeof read === "string"
      ? Result.fail(malformed(`the entry ${JSON.stringify(key)} ${read}`))
      : Result.succeed(read)
    // Of two keys for one registry, one that says something is worth more.
    const before = entries.get(normalized)
    if (before === undefined || isEmpty(before.credential)) entries.set(normalized, { helper: undefined, credential })
  }
  for (const [key, helper] of entriesOf(json, "credHelpers")) {
    const normalized = CredentialKey.normalize(key, { wildcards: true })
    if (normalized === undefined || typeof helper !== "string") continue
    const credential = entries.get(normalized)?.credential ?? Result.succeed(Credential.anonymous)
    entries.set(normalized, { helper, credential })
  }
  return Result.succeed({ source, entries, credsStore: textOf(json["credsStore"]) })
}

const isEmpty = (entry: Result.Result<Credential.Credential, AuthnError>): boolean =>
  Result.isSuccess(entry) && entry.success._tag === "Anonymous"

const entriesOf = (json: { readonly [key: string]: unknown }, key: string): ReadonlyArray<[string, unknown]> => {
  const value = Object.hasOwn(json, key) ? json[key] : undefined
  return Json.isObject(value) ? Object.entries(value) : []
}

/** The credential of an entry, or what is wrong with it. */
const entryOf = (entry: unknown): Credential.Credential | string => {
  if (!Json.isObject(entry)) return "is not an object"
  const identityToken = textOf(entry["identitytoken"])
  const registryToken = textOf(entry["registrytoken"])
  const auth = textOf(entry["auth"])
  const pair = auth === undefined ? undefined : pairOf(auth)
  if (auth !== undefined && pair === undefined && identityToken === undefined && registryToken === undefined) {
    return "has an auth that is not base64 of user:password"
  }
  const username = pair?.username ?? textOf(entry["username"])
  if (registryToken !== undefined) return Credential.bearer(registryToken)
  if (identityToken !== undefined) return Credential.identityToken(identityToken, username)
  if (username === undefined) return Credential.anonymous
  const password = pair?.password ?? textOf(entry["password"]) ?? ""
  return username === "<token>" ? Credential.identityToken(password) : Credential.basic(username, password)
}

const pairOf = (auth: string): { readonly username: string; readonly password: string } | undefined => {
  const unpadded = auth.trim().replace(/=+$/, "")
  const text = Base64.decodeString(unpadded + "=".repeat((4 - unpadded.length % 4) % 4))
  if (Result.isFailure(text)) return undefined
  // Some tools end the text with NULs.
  const clean = text.success.replace(/\0+$/, "")
  // A password may hold colons, a user may not.
  const colon = clean.indexOf(":")
  return colon <= 0 ? undefined : { username: clean.slice(0, colon), password: clean.slice(colon + 1) }
}

/**
 * A keychain of a config: for each key, most specific first, its helper if it has one, else its entry; last the helper for
 * all. `ask` asks a helper.
 *
 * @category keychains
 * @since 1.0.0
 */
export const keychain = (config: DockerConfig, ask: CredentialHelper.Ask): Resolve => {
  const keyring = CredentialKey.keyring(config.entries)
  return Effect.fnUntraced(function*(resource) {
    const registry = CredentialKey.registryOf(resource)
    for (const { credential, helper } of keyring.find(resource)) {
      const known = helper === undefined ? Credential.anonymous : yield* ask(helper, registry)
      if (known._tag !== "Anonymous") return known
      const written = yield* Effect.fromResult(credential)
      if (written._tag !== "Anonymous") return written
    }
    return config.credsStore === undefined ? Credential.anonymous : yield* ask(config.credsStore, registry)
  })
}

/**
 * The helper that keeps a registry's credentials, if one does: its own, else the one for all.
 *
 * @category getters
 * @since 1.0.0
 */
export const helperOf = (config: DockerConfig, registry: Registry.Registry): string | undefined =>
  CredentialKey.keyring(config.entries).find(registry).find(({ helper }) => helper !== undefined)?.helper ??
    config.credsStore
