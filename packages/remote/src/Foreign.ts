/**
 * Layers that stay where their `urls` say: fetched from there by a client that knows nobody.
 *
 * **Details**
 *
 * Whoever wrote a manifest chose its URLs, so they are not followed unless `layer` is provided. Then it is without
 * credentials, challenges go unanswered, and only `https` URLs of hosts that are no internal address are asked, after each
 * redirect anew (CVE-2020-15157).
 *
 * @since 1.0.0
 */
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Address from "@effect-oci/transport/Address"
import * as Redact from "@effect-oci/transport/Redact"
import {
  InternalAddress,
  NotFound,
  ProtocolViolation,
  RegistryError,
  Unreachable
} from "@effect-oci/transport/RegistryError"
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

/**
 * How the bytes behind a descriptor's `urls` are had; nothing where they are not followed.
 *
 * @category references
 * @since 1.0.0
 */
export const Foreign = Context.Reference<
  ((descriptor: Descriptor.Descriptor) => Stream.Stream<Uint8Array, RegistryError>) | undefined
>("@effect-oci/remote/Foreign", { defaultValue: () => undefined })

const maxRedirects = 5

const refused = (url: string, detail: string) =>
  new RegistryError({ method: "GET", url: Redact.url(url), reason: new ProtocolViolation({ detail }) })

/** A URL that may be asked. */
const checked = (text: string): Effect.Effect<URL, RegistryError> => {
  const url = URL.parse(text)
  if (url === null || url.protocol !== "https:") {
    return Effect.fail(refused(text, "foreign layers are had by https only"))
  }
  if (url.username !== "" || url.password !== "") return Effect.fail(refused(text, "the URL holds user information"))
  return Address.isInternal(url.hostname)
    ? Effect.fail(refused(text, `${url.hostname} is an internal address`))
    : Effect.succeed(url)
}

const get = Effect.fnUntraced(function*(
  http: HttpClient.HttpClient,
  text: string
): Effect.fn.Return<HttpClientResponse.HttpClientResponse, RegistryError> {
  const timeout = yield* ResponseBody.IdleTimeout
  let url = yield* checked(text)
  for (let redirects = 0; redirects <= maxRedirects; redirects++) {
    const at = Redact.url(url.href)
    const response = yield* http.get(url.href, { headers: { "accept-encoding": "identity" } }).pipe(
      // Whoever dials looks at the address that the name resolves to.
      Effect.provideService(Address.Guarded, true),
      Effect.mapError((error) => {
        const refusal = Address.refusalIn(error)
        return new RegistryError({
          method: "GET",
          url: at,
          reason: refusal === undefined
            ? new Unreachable({ detail: error.message, code: undefined, transient: true })
            : new InternalAddress({ host: refusal.host, address: refusal.address })
        })
      }),
      Effect.timeoutOrElse({
        duration: timeout,
        orElse: () =>
          Effect.fail(
            new RegistryError({
              method: "GET",
              url: at,
              reason: new Unreachable({
                detail: `nothing moved for ${Duration.format(timeout)}`,
                code: "ETIMEDOUT",
                transient: true
              })
            })
          )
      })
    )
    if (response.status === 200) return response
    yield* ResponseBody.discard(response)
    const { location } = response.headers
    if (response.status < 300 || response.status >= 400 || location === undefined) {
      return yield* new RegistryError({
        method: "GET",
        url: at,
        reason: new NotFound({ status: response.status, diagnostics: [] })
      })
    }
    url = yield* checked(URL.parse(location, url)?.href ?? location)
  }
  return yield* refused(url.href, `more than ${maxRedirects} redirects`)
})

/** The first of the URLs that has it. */
const fetch = (http: HttpClient.HttpClient) => ({ digest, urls = [] }: Descriptor.Descriptor) =>
  Stream.unwrap(Effect.gen(function*() {
    let last = refused(digest, "the layer names no URL")
    for (const url of urls) {
      const response = yield* Effect.result(get(http, url))
      if (response._tag === "Success") return ResponseBody.stream(response.success)
      last = response.failure
    }
    return yield* last
  }))

/**
 * Follows the `urls` of layers that the registry does not have.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<never, never, HttpClient.HttpClient> = Layer.effect(
  Foreign,
  Effect.map(HttpClient.HttpClient, fetch)
)
