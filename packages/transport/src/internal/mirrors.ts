/**
 * What is read of a repository, read from its mirrors as long as they serve it.
 */
import * as Registry from "@effect-oci/name/Registry"
import type * as Repository from "@effect-oci/name/Repository"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as AccessScope from "../AccessScope.ts"
import type * as Mirror from "../Mirror.ts"
import { Blocked, type RegistryError } from "../RegistryError.ts"
import * as RetryPolicy from "../RetryPolicy.ts"
import type { Access } from "../Transport.ts"
import * as Failure from "./failure.ts"

type Request = HttpClientRequest.HttpClientRequest
type Reply = Effect.Effect<HttpClientResponse.HttpClientResponse, RegistryError>

interface Place {
  readonly mirror: Repository.Repository
  readonly request: Request
}

/** For how long a mirror is left alone that failed, in milliseconds. */
const leftAlone = 5 * 60_000

const isReading = ({ scopes }: Access): boolean =>
  scopes.every(({ actions }) => actions.every((action) => action === "pull"))

/** What a mirror can be asked for. */
interface Wanted {
  readonly repository: Repository.Repository
  readonly kind: string
  readonly identifier: string
}

const wantedOf = (request: Request, access: Access): Wanted | undefined => {
  const { resource } = access
  if (!("registry" in resource) || (request.method !== "GET" && request.method !== "HEAD")) return undefined
  const prefix = `/v2/${resource.path}/`
  const [, kind, identifier] = request.url.startsWith(prefix) && isReading(access)
    ? /^(manifests|blobs|tags|referrers)\/([^/]+)$/.exec(request.url.slice(prefix.length)) ?? []
    : []
  return kind === undefined || identifier === undefined ? undefined : { repository: resource, kind, identifier }
}

/** Only these are the same at a mirror. */
const isContent = ({ kind }: Wanted): boolean => kind === "manifests" || kind === "blobs"

const placeOf =
  (request: Request, { identifier, kind, repository }: Wanted) =>
  ({ isProxy, repository: mirror }: Mirror.Mirror): Place => {
    const there = HttpClientRequest.setUrl(request, `/v2/${mirror.path}/${kind}/${identifier}`)
    return { mirror, request: isProxy ? HttpClientRequest.setUrlParam(there, "ns", repository.registry.name) : there }
  }

const accessTo = (mirror: Repository.Repository): Access => ({ resource: mirror, scopes: [AccessScope.pull(mirror)] })

/** Whether a request goes on where a reply from there has led. */
const isAt = (request: Request, { registry }: Repository.Repository): boolean =>
  URL.parse(request.url)?.host === URL.parse(`https://${Registry.apiHost(registry)}`)?.host

const blockedBy = (request: Request, { resource }: Access, by: string): RegistryError =>
  Failure.make(
    request.method,
    URL.canParse(request.url)
      ? request.url
      : `https://${Registry.apiHost("registry" in resource ? resource.registry : resource)}${request.url}`,
    new Blocked({ detail: `${resource.name} is blocked by ${by}` })
  )

const keyOf = (repository: Repository.Repository, identifier: string): string => `${repository.name} ${identifier}`

const capacity = 10_000

export const make = (lookup: Mirror.Lookup, run: (request: Request, access: Access) => Reply) => {
  /** Registries that failed, and until when they are left alone. */
  const failed = new Map<string, number>()
  /** Who served last what was read; the oldest first. */
  const served = new Map<string, string>()
  const note = (key: string, registry: string) => {
    served.delete(key)
    served.set(key, registry)
    if (served.size > capacity) served.delete(served.keys().next().value!)
  }

  const leave = (registry: string) =>
    Effect.map(Clock.currentTimeMillis, (now) => void failed.set(registry, now + leftAlone))

  const from = ({ mirror, request }: Place): Reply =>
    run(request, accessTo(mirror)).pipe(
      // There are others to ask, so nothing is waited for.
      Effect.provideService(RetryPolicy.RetryPolicy, RetryPolicy.challenge),
      Effect.tapError((error) =>
        // What it has not, or does not give to everybody, is no fault.
        ["NotFound", "Denied", "Unauthorized"].includes(error.reason._tag)
          ? Effect.void
          : Effect.andThen(Effect.logDebug(`mirror left alone: ${error.message}`), leave(mirror.registry.name))
      )
    )

  const execute = (request: Request, access: Access): Reply =>
    Effect.suspend(() => {
      const wanted = wantedOf(request, access)
      const places = lookup(
        access.resource,
        wanted === undefined || wanted.identifier.includes(":") ? "digest" : "tag"
      )
      const { blocked, instead, mirrors } = places
      if (blocked !== undefined) return Effect.fail(blockedBy(request, access, blocked))
      if (wanted !== undefined && (mirrors.length > 0 || instead !== undefined)) {
        return elsewhere(request, access, wanted, places)
      }
      if (wanted !== undefined && served.size > 0) served.delete(keyOf(wanted.repository, wanted.identifier))
      return run(
        request,
        instead !== undefined && isReading(access) && isAt(request, instead.repository)
          ? accessTo(instead.repository)
          : access
      )
    })

  /** Reads from the first that serves it; from the registry itself where none does, or from what stands for it. */
  const elsewhere = Effect.fnUntraced(function*(
    request: Request,
    access: Access,
    wanted: Wanted,
    { instead, mirrors }: Mirror.Places
  ): Effect.fn.Return<HttpClientResponse.HttpClientResponse, RegistryError> {
    for (const place of isContent(wanted) ? mirrors.map(placeOf(request, wanted)) : []) {
      const registry = place.mirror.registry.name
      if ((failed.get(registry) ?? 0) > (yield* Clock.currentTimeMillis)) continue
      if (lookup(place.mirror, "tag").blocked !== undefined) continue
      const response = yield* Effect.orElseSucceed(from(place), () => undefined)
      if (response === undefined) continue
      note(keyOf(wanted.repository, wanted.identifier), registry)
      return response
    }
    served.delete(keyOf(wanted.repository, wanted.identifier))
    if (instead === undefined) return yield* run(request, access)
    const { mirror, request: moved } = placeOf(request, wanted)(instead)
    const there = lookup(mirror, "tag").blocked
    return yield* there === undefined ? run(moved, accessTo(mirror)) : blockedBy(moved, accessTo(mirror), there)
  })

  return {
    execute,
    distrust: (repository: Repository.Repository, identifier: string): Effect.Effect<boolean> =>
      Effect.suspend(() => {
        const key = keyOf(repository, identifier)
        const registry = served.get(key)
        served.delete(key)
        return registry === undefined ? Effect.succeed(false) : Effect.as(leave(registry), true)
      })
  }
}
