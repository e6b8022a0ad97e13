/**
 * How each request of this room leaves: to no internal address unless the user named the host, and seen by nobody with its
 * secrets.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as UrlParams from "effect/http/UrlParams"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import * as Address from "../Address.ts"
import * as Redact from "../Redact.ts"
import type { RegistryError } from "../RegistryError.ts"
import * as ResponseBody from "../ResponseBody.ts"
import * as Failure from "./failure.ts"
import * as Watch from "./watch.ts"

/** What there is to know where somebody looks at spans. */
const traced = Context.make(Headers.CurrentRedactedNames, Redact.headers).pipe(
  Context.add(UrlParams.CurrentRedactedNames, Redact.parameters),
  Context.add(HttpClient.TracerPropagationEnabled, false)
)
const never = () => true

/** Nobody looks at spans of the tracer that is there by default, and they cost as much as the rest of a request. */
const isTraced = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  fiber.getRef(References.TracerEnabled) && Context.getOrUndefined(fiber.context, Tracer.Tracer) !== undefined

export const execute = (
  http: HttpClient.HttpClient,
  request: HttpClientRequest.HttpClientRequest,
  /** Whether the user named the host. */
  isNamed: boolean
): Effect.Effect<HttpClientResponse.HttpClientResponse, RegistryError> =>
  Effect.withFiber((fiber) => {
    // Here already, so that also an `HttpClient` without a guard of its own does not go to an address that is written out.
    const refusal = isNamed ? undefined : Address.refusal(new URL(request.url).hostname)
    if (refusal !== undefined) return Effect.fail(Failure.internal(request.method, request.url, refusal))
    return Effect.updateContext(Watch.execute(http, request), (before: Context.Context<never>) =>
      Context.add(
        Context.add(
          // Whole maps of services are not copied for each request: most are not traced.
          isTraced(fiber)
            ? Context.merge(before, traced)
            : Context.add(before, HttpClient.TracerDisabledWhen, never),
          Address.Guarded,
          !isNamed
        ),
        ResponseBody.Attended,
        true
      ))
  })
