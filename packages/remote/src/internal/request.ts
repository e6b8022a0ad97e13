/**
 * What all endpoint families share: a client for a repository, and failures with their request.
 */
import * as Digest from "@effect-oci/name/Digest"
import type * as Registry from "@effect-oci/name/Registry"
import type * as Repository from "@effect-oci/name/Repository"
import * as AccessScope from "@effect-oci/transport/AccessScope"
import * as Redact from "@effect-oci/transport/Redact"
import { ContentMismatch, ProtocolViolation, type Reason, RegistryError } from "@effect-oci/transport/RegistryError"
import * as Transport from "@effect-oci/transport/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"

/**
 * What reading asks a token for. Whoever is about to write asks for that from the start, so that one token does for both.
 */
export const Reading = Context.Reference<"pull" | "push">("@effect-oci/remote/internal/request/Reading", {
  defaultValue: () => "pull"
})

/** Asks the registry itself, by the right to write: no mirror knows what has got there. */
export const asWriter = Effect.provideService(Reading, "push")

const scopes = { pull: AccessScope.pull, push: AccessScope.push, remove: AccessScope.remove }

interface Options {
  /** Other repositories that are read from. */
  readonly also?: ReadonlyArray<Repository.Repository> | undefined
  readonly mayLack?: boolean | undefined
}

// No generator of its own for each request: V8 keeps such a function, with all that it closes over, until a major collection.
export const client = (
  repository: Repository.Repository,
  action: keyof typeof scopes,
  options?: Options | undefined
): Effect.Effect<HttpClient.HttpClient.With<RegistryError>, never, Transport.Transport> =>
  Effect.withFiber((fiber) => {
    const asked = scopes[action === "pull" ? fiber.getRef(Reading) : action](repository)
    const also = options?.also ?? []
    return Effect.map(Transport.Transport, (transport) =>
      transport.client({
        resource: repository,
        scopes: also.length === 0 ? [asked] : AccessScope.join([asked], also.map(AccessScope.pull)),
        mayLack: options?.mayLack
      }))
  })

/** A client for the registry as a whole. */
export const registryClient = (registry: Registry.Registry) =>
  Effect.map(
    Transport.Transport,
    (transport) => transport.client({ resource: registry, scopes: [AccessScope.catalog] })
  )

/** Names were checked when they were parsed: every character of a path is one that a URL takes as it is. */
export const path = (repository: Repository.Repository, rest: string): string => `/v2/${repository.path}/${rest}`

export const failure = (response: HttpClientResponse.HttpClientResponse, reason: Reason): RegistryError =>
  new RegistryError({ method: response.request.method, url: Redact.url(response.request.url), reason })

export const violation = (response: HttpClientResponse.HttpClientResponse, detail: string): RegistryError =>
  failure(response, new ProtocolViolation({ detail }))

export const mismatch = (response: HttpClientResponse.HttpClientResponse, detail: string): RegistryError =>
  failure(response, new ContentMismatch({ detail }))

/** Fails where the registry says that it has stored something else. Of another algorithm than ours it says nothing. */
export const isWhatWasSent = (
  response: HttpClientResponse.HttpClientResponse,
  digest: Digest.Digest
): Effect.Effect<void, RegistryError> => {
  const said = response.headers["docker-content-digest"]
  return said === undefined || said === digest || !said.startsWith(`${Digest.algorithm(digest)}:`)
    ? Effect.void
    : Effect.fail(mismatch(response, `the registry stored ${said} in place of ${digest}`))
}

export const isNotFound = (error: RegistryError): boolean => error.reason._tag === "NotFound"

/** `undefined` unless the header is a whole number. */
export const lengthOf = (response: HttpClientResponse.HttpClientResponse): number | undefined => {
  const text = response.headers["content-length"]
  return text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : undefined
}

/** 405 and its like: the registry knows no HEAD. */
export const isNoHead = ({ reason }: RegistryError): boolean =>
  reason._tag === "Rejected" || reason._tag === "Unsupported"

/** What was read and is wrong, or is cut off, is read once more for each mirror that it came from. */
export const elsewhere = <A, R>(
  repository: Repository.Repository,
  identifier: string,
  self: Effect.Effect<A, RegistryError, R>
): Effect.Effect<A, RegistryError, R | Transport.Transport> =>
  Effect.catchIf(
    self,
    (error) => error.isRetryable || error.reason._tag === "ContentMismatch",
    (error) =>
      Effect.gen(function*() {
        const transport = yield* Transport.Transport
        if (!(yield* transport.distrust(repository, identifier))) return yield* error
        return yield* elsewhere(repository, identifier, self)
      })
  )
