/** One request to an endpoint of a cloud, and its small answer. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Stream from "effect/Stream"
import { AuthnError } from "../AuthnError.ts"
import * as Json from "./json.ts"

export interface Options {
  /** Who is asked, for errors. */
  readonly source: string
  readonly timeout?: Duration.Input | undefined
}

export interface Reply {
  readonly status: number
  readonly headers: Headers.Headers
  readonly text: string
}

const limit = 128 * 1024

/** Headers that show who is asking, besides those that Effect knows. */
const secretHeaders = [
  "x-amz-security-token",
  "x-aws-ec2-metadata-token",
  "x-identity-header"
]

const textOf = (response: HttpClientResponse.HttpClientResponse) => {
  const decoder = new TextDecoder()
  return Stream.runFoldEffect(
    response.stream,
    () => "",
    (text, chunk) =>
      text.length > limit
        ? Effect.fail("flood" as const)
        : Effect.succeed(text + decoder.decode(chunk, { stream: true }))
  )
}

const where = ({ method, url }: HttpClientRequest.HttpClientRequest): string => {
  const { origin, pathname } = new URL(url)
  return `${method} ${origin}${pathname}`
}

/** Sends a request; gives the reply whatever its status. The client must not follow redirects by itself. */
export const send = (
  http: HttpClient.HttpClient,
  request: HttpClientRequest.HttpClientRequest,
  options: Options
): Effect.Effect<Reply, AuthnError> => {
  const failed = (reason: AuthnError["reason"], detail: string) =>
    new AuthnError({ source: options.source, reason, detail: `${where(request)}: ${detail}` })
  const timeout = Duration.fromInputUnsafe(options.timeout ?? "20 seconds")
  return http.execute(HttpClientRequest.setHeader(request, "accept-encoding", "identity")).pipe(
    Effect.flatMap((response) =>
      Effect.map(textOf(response), (text): Reply => ({ status: response.status, headers: response.headers, text }))
    ),
    Effect.mapError((error) =>
      error === "flood"
        ? failed("Refused", "its answer is larger than 128 KiB")
        : failed("Unreachable", error.reason._tag)
    ),
    Effect.timeoutOrElse({
      duration: timeout,
      orElse: () => failed("Unreachable", `no answer for ${Duration.format(timeout)}`)
    }),
    Effect.updateService(Headers.CurrentRedactedNames, (names) => [...names, ...secretHeaders]),
    // A span would keep the request, and with it the headers, for whoever looks into it.
    Effect.provideService(HttpClient.TracerDisabledWhen, () => true),
    Effect.provideService(HttpClient.TracerPropagationEnabled, false)
  )
}

/** Whether an endpoint says that there is nobody, rather than that something went wrong. */
export const isAbsent = ({ status }: Reply): boolean => [400, 401, 403, 404, 405].includes(status)

/** The object in a reply; a failure with the status and the code of the error where it is none. */
export const objectOf = (
  { status, text }: Reply,
  request: HttpClientRequest.HttpClientRequest,
  { source }: Options
): Effect.Effect<Json.JsonObject, AuthnError> => {
  const body = Json.parsePlain(text)
  const refused = (detail: string) =>
    Effect.fail(new AuthnError({ source, reason: "Refused", detail: `${where(request)}: ${detail}` }))
  if (status !== 200) return refused([String(status), ...codeOf(body)].join(" "))
  return Json.isObject(body) ? Effect.succeed(body) : refused("its answer is not a JSON object")
}

/** Sends a request; gives the object that it is answered with. */
export const json = (
  http: HttpClient.HttpClient,
  request: HttpClientRequest.HttpClientRequest,
  options: Options
): Effect.Effect<Json.JsonObject, AuthnError> =>
  Effect.flatMap(
    send(http, HttpClientRequest.acceptJson(request), options),
    (reply) => objectOf(reply, request, options)
  )

/** The code of an error, as OAuth and AWS write it; never a sentence, which might say what was sent. */
const codeOf = (body: unknown): ReadonlyArray<string> => {
  if (!Json.isObject(body)) return []
  const code = [body["error"], body["__type"]].find((code) => typeof code === "string")
  return typeof code === "string" && /^[A-Za-z0-9_.#]{1,64}$/.test(code) ? [code] : []
}

/** A text field of an answer. */
export const text = (body: Json.JsonObject, ...keys: ReadonlyArray<string>): string | undefined => {
  const value = keys.map((key) => body[key]).find((value) => typeof value === "string" && value !== "")
  return typeof value === "string" && value.length <= 65_536 && !/[\u0000-\u001f\u007f]/.test(value) ? value : undefined
}

/** How long a token that lasts for some seconds is used: until five minutes before its end, a short one until its middle. */
export const keep = (seconds: unknown): Duration.Duration => {
  const lasts = typeof seconds === "number" || typeof seconds === "string" ? Number(seconds) : 0
  return Number.isFinite(lasts) && lasts > 0
    ? Duration.seconds(Math.max(lasts - 300, lasts / 2))
    : Duration.minutes(1)
}
