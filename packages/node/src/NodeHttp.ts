/**
 * An `HttpClient` that is fit for registries: undici, which neither follows redirects nor decodes bodies, and keeps
 * `Content-Length`.
 *
 * @since 1.0.0
 */
import * as Redact from "@effect-oci/transport/Redact"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"

/**
 * HTTP/1.1 with kept-alive connections.
 *
 * **Details**
 *
 * Blobs in parallel on several connections are faster than on one HTTP/2 connection. Trace headers are not sent to
 * registries, and headers that may hold secrets are not shown in spans.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<HttpClient.HttpClient> = NodeHttpClient.layerUndiciOptions({
  allowH2: false,
  connections: 64,
  connect: { timeout: 10_000 },
  // Artifact Registry's signed locations are longer than Node's own limit of 16 KiB allows.
  maxHeaderSize: 64 * 1024
}).pipe(
  Layer.provideMerge(Layer.mergeAll(
    // Otherwise undici closes the connection after each HEAD.
    Layer.succeed(NodeHttpClient.UndiciOptions, { reset: false }),
    Layer.succeed(HttpClient.TracerPropagationEnabled, false),
    Layer.succeed(Headers.CurrentRedactedNames, Redact.headers)
  ))
)
