/**
 * How each request of this room leaves: to no internal address unless the user named the host, and seen by nobody with its
 * secrets.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as UrlParams from "effect/http/UrlParams"
import * as Address from "../Address.ts"
import * as Redact from "../Redact.ts"
import type { RegistryError } from "../RegistryError.ts"
import * as Failure from "./failure.ts"
import * as Watch from "./watch.ts"

const named = Context.make(Headers.CurrentRedactedNames, Redact.headers).pipe(
  Context.add(UrlParams.CurrentRedactedNames, Redact.parameters),
  Context.add(HttpClient.TracerPropagationEnabled, false),
  Context.add(Address.Guarded, false)
)

const guarded = Context.add(named, Address.Guarded, true)

export const execute = (
  http: HttpClient.HttpClient,
  request: HttpClientRequest.HttpClientRequest,
  /** Whether the user named the host. */
  isNamed: boolean
): Effect.Effect<HttpClientResponse.HttpClientResponse, RegistryError> =>
  Effect.suspend(() => {
    // Here already, so that also an `HttpClient` without a guard of its own does not go to an address that is written out.
    const refusal = isNamed ? undefined : Address.refusal(new URL(request.url).hostname)
    return refusal === undefined
      ? Effect.provideContext(Watch.execute(http, request), isNamed ? named : guarded)
      : Effect.fail(Failure.internal(request.method, request.url, refusal))
  })
