/**
 * What a request is about: the one reading of a path, for the endpoints and for who may use them.
 */
import type { Action } from "../Access.ts"
import type { Settings } from "../Settings.ts"

export type Route =
  | { readonly _tag: "Ping" }
  | { readonly _tag: "Catalog" }
  /** There is one where a guard gives tokens. */
  | { readonly _tag: "Token" }
  | { readonly _tag: "Uploads"; readonly repository: string }
  | { readonly _tag: "Upload"; readonly repository: string; readonly id: string }
  | { readonly _tag: "Blob"; readonly repository: string; readonly digest: string }
  | { readonly _tag: "Manifest"; readonly repository: string; readonly reference: string }
  | { readonly _tag: "Tags"; readonly repository: string }
  | { readonly _tag: "Referrers"; readonly repository: string; readonly digest: string }
  | { readonly _tag: "Invalid"; readonly detail: string }
  | { readonly _tag: "TooLong" }
  | { readonly _tag: "Unknown" }

export interface Target {
  /** As it was sent: percent escapes and dot segments are no part of any name. */
  readonly path: string
  /** Nobody changes it. */
  readonly query: URLSearchParams
  readonly route: Route
}

/** The path of a request's target. */
export const pathOf = (url: string): string => {
  const question = url.indexOf("?")
  return question === -1 ? url : url.slice(0, question)
}

const none = new URLSearchParams()

let last: { readonly url: string; readonly target: Target } | undefined

/** Reads a request's target: once for all who ask for it one after the other, as those do that a request passes. */
export const target = (url: string): Target => {
  if (last?.url === url) return last.target
  const path = pathOf(url)
  const query = path === url ? none : new URLSearchParams(url.slice(path.length + 1))
  last = { url, target: { path, query, route: parse(path) } }
  return last.target
}

const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/

/** Whether it is the name of a repository; short, and read in a time that is no matter. */
export const isName = (text: string): boolean =>
  text.length <= 255 && text.split("/").every((part) => component.test(part))

export const parse = (path: string): Route => {
  if (path === "/v2/" || path === "/v2") return { _tag: "Ping" }
  if (path === "/v2/_catalog") return { _tag: "Catalog" }
  if (path === "/token") return { _tag: "Token" }
  if (path.length > 1024) return { _tag: "TooLong" }
  if (!path.startsWith("/v2/")) return { _tag: "Unknown" }
  // Read from the end: a repository may be called `a/tags`, and a tag `blobs`.
  const parts = path.slice(4).split("/")
  const last = parts.at(-1)!
  const kind = parts.at(-2)
  const repositoryOf = (taken: number, route: (repository: string) => Route): Route => {
    const repository = parts.slice(0, -taken).join("/")
    return isName(repository) ? route(repository) : { _tag: "Invalid", detail: "not a valid repository name" }
  }
  if (kind === "uploads" && parts.at(-3) === "blobs") {
    return repositoryOf(
      3,
      (repository) => last === "" ? { _tag: "Uploads", repository } : { _tag: "Upload", repository, id: last }
    )
  }
  switch (kind) {
    case "blobs":
      return repositoryOf(
        2,
        (repository) =>
          last === "uploads" ? { _tag: "Uploads", repository } : { _tag: "Blob", repository, digest: last }
      )
    case "manifests":
      return repositoryOf(2, (repository) => ({ _tag: "Manifest", repository, reference: last }))
    case "referrers":
      return repositoryOf(2, (repository) => ({ _tag: "Referrers", repository, digest: last }))
    case "tags":
      return last === "list" ? repositoryOf(2, (repository) => ({ _tag: "Tags", repository })) : { _tag: "Unknown" }
    default:
      return { _tag: "Unknown" }
  }
}

const read = ["GET", "HEAD"]

/**
 * The methods that an endpoint takes: the one place where a registry that forbids something does so. Nothing where there is
 * no endpoint.
 */
export const methods = (route: Route, settings: Settings): ReadonlyArray<string> | undefined => {
  const deletes = settings.deletes && !settings.readOnly ? ["DELETE"] : []
  const writes = (...methods: ReadonlyArray<string>) => settings.readOnly ? [] : methods
  switch (route._tag) {
    case "Uploads":
      return writes("POST")
    case "Upload":
      return writes("GET", "HEAD", "PATCH", "PUT", "DELETE")
    case "Blob":
      return [...read, ...deletes]
    case "Manifest":
      return [...read, ...writes("PUT"), ...deletes]
    case "Referrers":
      return settings.referrers ? read : undefined
    case "Ping":
    case "Catalog":
    case "Tags":
      return read
    default:
      return undefined
  }
}

/** What a request does to which repository; nothing where it is about none. */
export const action = (
  route: Route,
  method: string
): { readonly repository: string; readonly action: Action } | undefined => {
  switch (route._tag) {
    case "Uploads":
    case "Upload":
      return { repository: route.repository, action: "push" }
    case "Blob":
    case "Manifest":
    case "Tags":
    case "Referrers":
      return {
        repository: route.repository,
        action: read.includes(method) ? "pull" : method === "DELETE" ? "delete" : "push"
      }
    default:
      return undefined
  }
}
