/**
 * Registries: a host, and a port where it is not the default.
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

const TypeId = "~@effect-oci/name/Registry"

/**
 * A registry. Equal by its canonical name.
 *
 * @category models
 * @since 1.0.0
 */
export interface Registry extends Equal.Equal {
  readonly [TypeId]: typeof TypeId
  /**
   * Canonical, in lower case: `docker.io`, `ghcr.io`, `localhost:5000`, `[::1]:5000`.
   */
  readonly name: string
  /**
   * Without the port. IPv6 addresses keep their brackets.
   */
  readonly hostname: string
  readonly port: number | undefined
}

const proto = Proto.make(TypeId, (self: Registry) => self.name)

const make = (hostname: string, port: number | undefined): Registry =>
  Object.assign(Object.create(proto), {
    name: port === undefined ? hostname : `${hostname}:${port}`,
    hostname,
    port
  })

/**
 * Returns `true` when a value is a `Registry`.
 *
 * @category guards
 * @since 1.0.0
 */
export const isRegistry = (u: unknown): u is Registry => hasProperty(u, TypeId)

// Docker Hub's own names, of which the first is canonical.
const dockerHubNames = new Set(["docker.io", "index.docker.io", "registry-1.docker.io"])

/**
 * Docker Hub, where names go that say no registry.
 *
 * @category constants
 * @since 1.0.0
 */
export const dockerHub: Registry = make("docker.io", undefined)

const label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
const domain = new RegExp(`^${label}(?:\\.${label})*$`)
const split = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s

const isIPv6 = (text: string): boolean =>
  /^[0-9a-f:.]{2,45}$/.test(text) && text.includes(":") && URL.canParse(`http://[${text}]/`)

const isHostname = (hostname: string): boolean => {
  if (hostname.startsWith("[")) return hostname.endsWith("]") && isIPv6(hostname.slice(1, -1))
  if (hostname.length > 253 || !domain.test(hostname)) return false
  // What looks like an IPv4 address has to be one, or a URL reads it as another host than is written.
  return !/(?:^|\.)(?:\d+|0x[0-9a-f]*)$/.test(hostname) || isIPv4(hostname)
}

const isIPv4 = (hostname: string): boolean => {
  const parts = hostname.split(".")
  return parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)
}

/**
 * Parses `host[:port]`.
 *
 * **Details**
 *
 * The host is a domain name, an IPv4 address or an IPv6 address in brackets, in ASCII; letters are lowered. No scheme, no
 * user, no path, no zone id. Docker Hub's other names are read as `docker.io`.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parse = (input: string): Result.Result<Registry, NameError> => {
  const invalid = (detail: string, suggestion?: string) =>
    Result.fail(
      new NameError({ kind: "Registry", input, detail, ...(suggestion === undefined ? {} : { suggestion }) })
    )
  if (input === "") return invalid("must not be empty")
  if (input.length > 300) return invalid("must be at most 300 characters")
  const scheme = /^[a-z]+:\/\//i.exec(input)
  if (scheme !== null) {
    const rest = input.slice(scheme[0].length)
    return invalid("must not have a scheme", Result.isSuccess(parse(rest)) ? rest : undefined)
  }
  const [, host, portText] = split.exec(input) ?? [input, input, undefined]
  const hostname = host!.toLowerCase()
  if (!isHostname(hostname)) {
    return invalid(
      hostname.includes("@")
        ? "must not hold user information"
        : hostname.startsWith("[")
        ? "must hold an IPv6 address between the brackets, without a zone"
        : "must be a domain name, an IPv4 address, or an IPv6 address in brackets"
    )
  }
  if (portText === undefined) {
    return Result.succeed(dockerHubNames.has(hostname) ? dockerHub : make(hostname, undefined))
  }
  const port = /^[1-9]\d{0,4}$/.test(portText) ? Number(portText) : 0
  return port < 1 || port > 65_535
    ? invalid("the port must be a number from 1 to 65535")
    : Result.succeed(dockerHubNames.has(hostname) && port === 443 ? dockerHub : make(hostname, port))
}

/**
 * Parses a trusted registry, throwing `NameError` on failure.
 *
 * @category unsafe
 * @since 1.0.0
 */
export const parseUnsafe = (input: string): Registry => Result.getOrThrow(parse(input))

/**
 * The canonical name; the inverse of `parse`.
 *
 * @category encoding
 * @since 1.0.0
 */
export const format = (registry: Registry): string => registry.name

/**
 * The `host[:port]` under which the registry's API is reached: Docker Hub's is not its name.
 *
 * @category getters
 * @since 1.0.0
 */
export const apiHost = (registry: Registry): string =>
  registry.name === dockerHub.name ? "registry-1.docker.io" : registry.name

/**
 * Whether the registry is on this machine: `localhost`, `*.localhost`, 127.0.0.0/8 or `[::1]`. Only such registries are
 * spoken to by plain http without being told so.
 *
 * @category predicates
 * @since 1.0.0
 */
export const isLoopback = ({ hostname }: Registry): boolean =>
  hostname === "localhost" || hostname.endsWith(".localhost") ||
  (hostname.startsWith("127.") && isIPv4(hostname)) ||
  (hostname.startsWith("[") && new URL(`http://${hostname}/`).hostname === "[::1]")

/**
 * Orders registries by canonical name.
 *
 * @category ordering
 * @since 1.0.0
 */
export const Order: Order_.Order<Registry> = Order_.mapInput(Order_.String, format)

/**
 * A registry that was already parsed.
 *
 * @category schemas
 * @since 1.0.0
 */
export const Registry = Schema.declare(isRegistry, { identifier: "Registry" })

/**
 * A registry as text.
 *
 * @category schemas
 * @since 1.0.0
 */
export const RegistryFromString = Schema.String.pipe(
  Schema.decodeTo(Registry, SchemaTransformation.transformEffect(fromResult(parse, format)))
)
