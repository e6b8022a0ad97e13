/**
 * Repositories: a path at a registry.
 *
 * Implements `<name>` of the OCI distribution specification 1.1, and Docker's rules for names without a registry.
 *
 * @since 1.0.0
 */
import type * as Equal from "effect/Equal"
import * as Order_ from "effect/Order"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { fromResult } from "./internal/codec.ts"
import * as Proto from "./internal/proto.ts"
import { NameError } from "./NameError.ts"
import * as Registry from "./Registry.ts"

const TypeId = "~@effect-oci/name/Repository"

/**
 * A repository. Equal by its canonical name.
 *
 * @category models
 * @since 1.0.0
 */
export interface Repository extends Equal.Equal {
  readonly [TypeId]: typeof TypeId
  readonly registry: Registry.Registry
  /**
   * The path at the registry, such as `library/ubuntu`.
   */
  readonly path: string
  /**
   * Canonical: `docker.io/library/ubuntu`.
   */
  readonly name: string
}

/**
 * Options for `parse`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * The registry of names that say none.
   *
   * @default "docker.io"
   */
  readonly defaultRegistry?: string | undefined
}

const proto = Proto.make(TypeId, (self: Repository) => self.name)

/**
 * Returns `true` when a value is a `Repository`.
 *
 * @category guards
 * @since 1.0.0
 */
export const isRepository = (u: unknown): u is Repository => hasProperty(u, TypeId)

const maxLength = 255
// Linear: each character has one way to be matched, since a separator is always followed by a letter or digit.
const component = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*"
const syntax = new RegExp(`^${component}(?:/${component})*$`)

/** As it is kept: Docker Hub's official images have a folder that nobody writes. */
const fullPath = (registry: Registry.Registry, path: string): string =>
  registry.name === Registry.dockerHub.name && !path.includes("/") ? `library/${path}` : path

const rule = (registry: Registry.Registry, path: string): string | undefined => {
  if (path === "") return "must not be empty"
  if (fullPath(registry, path).length > maxLength) return `must be at most ${maxLength} characters`
  if (syntax.test(path)) {
    return /^[a-f0-9]{64}$/.test(path)
      ? "must not be 64 hex characters, as an image id is"
      : undefined
  }
  if (/[A-Z]/.test(path)) return "must be lowercase"
  if (/^\/|\/$|\/\//.test(path)) return "must not have empty parts between slashes"
  return "each part must be letters and digits, with single dots, one or two underscores, or dashes between them"
}

/**
 * Makes a repository of a registry and a path. Docker Hub's official images get their `library/`.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = (registry: Registry.Registry, path: string): Result.Result<Repository, NameError> =>
  fromParts(registry, path, path)

const fromParts = (
  registry: Registry.Registry,
  path: string,
  input: string
): Result.Result<Repository, NameError> => {
  const broken = rule(registry, path)
  if (broken !== undefined) {
    const meant = path.length > 512
      ? ""
      : path.trim().toLowerCase().replaceAll(/\/{2,}/g, "/").replaceAll(/^\/|\/$/g, "")
    const suggestion = input.slice(0, input.length - path.length) + meant
    return Result.fail(
      new NameError({
        kind: "Repository",
        input,
        detail: broken,
        ...(rule(registry, meant) === undefined && input.endsWith(path) ? { suggestion } : {})
      })
    )
  }
  const full = fullPath(registry, path)
  return Result.succeed(
    Object.assign(Object.create(proto), { registry, path: full, name: `${registry.name}/${full}` })
  )
}

const isRegistryPart = (part: string): boolean => part.includes(".") || part.includes(":") || part === "localhost"

/**
 * Parses `[registry/]path`.
 *
 * **Details**
 *
 * The first part is a registry when it has a dot, a colon, or is `localhost`, and something follows it.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parse = (input: string, options?: Options | undefined): Result.Result<Repository, NameError> => {
  const fail = (detail: string, suggestion?: string) =>
    Result.fail(
      new NameError({ kind: "Repository", input, detail, ...(suggestion === undefined ? {} : { suggestion }) })
    )
  const scheme = /^[a-z]+:\/\//i.exec(input)
  if (scheme !== null) {
    const rest = input.slice(scheme[0].length)
    return fail("must not have a scheme", Result.isSuccess(parse(rest, options)) ? rest : undefined)
  }
  const slash = input.indexOf("/")
  const first = input.slice(0, Math.max(slash, 0))
  if (slash > 0 && isRegistryPart(first)) {
    return Result.flatMap(Registry.parse(first), (registry) => fromParts(registry, input.slice(slash + 1), input))
  }
  return Result.flatMap(
    options?.defaultRegistry === undefined
      ? Result.succeed(Registry.dockerHub)
      : Registry.parse(options.defaultRegistry),
    (registry) => fromParts(registry, input, input)
  )
}

/**
 * Parses a trusted repository, throwing `NameError` on failure.
 *
 * @category unsafe
 * @since 1.0.0
 */
export const parseUnsafe = (input: string, options?: Options | undefined): Repository =>
  Result.getOrThrow(parse(input, options))

/**
 * The canonical name; the inverse of `parse`.
 *
 * @category encoding
 * @since 1.0.0
 */
export const format = (repository: Repository): string => repository.name

/**
 * Orders repositories by canonical name.
 *
 * @category ordering
 * @since 1.0.0
 */
export const Order: Order_.Order<Repository> = Order_.mapInput(Order_.String, format)

/**
 * A repository that was already parsed.
 *
 * @category schemas
 * @since 1.0.0
 */
export const Repository = Schema.declare(isRepository, { identifier: "Repository" })

/**
 * A repository as text.
 *
 * @category schemas
 * @since 1.0.0
 */
export const RepositoryFromString = Schema.String.pipe(
  Schema.decodeTo(Repository, SchemaTransformation.transformEffect(fromResult((input: string) => parse(input), format)))
)
