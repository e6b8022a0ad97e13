/**
 * A reply whose body is still on its connection.
 */
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Cookies from "effect/http/Cookies"
import * as Headers from "effect/http/Headers"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as UrlParams from "effect/http/UrlParams"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import { pipeArguments } from "effect/Pipeable"
import * as Stream from "effect/Stream"
import type { Body } from "./body.ts"
import type { Head } from "./head.ts"

/** Chunks that are whoever's who asked for them. */
const owned = <E, R>(self: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E, R> =>
  Stream.map(self, (chunk) => chunk.slice())

export class Reply extends Inspectable.Class implements HttpClientResponse.HttpClientResponse {
  readonly [HttpIncomingMessage.TypeId]: typeof HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly [HttpClientResponse.TypeId]: typeof HttpClientResponse.TypeId = HttpClientResponse.TypeId
  readonly request: HttpClientRequest.HttpClientRequest
  readonly url: string
  readonly status: number
  readonly headers: Headers.Headers
  readonly remoteAddress = Option.none<string>()
  private readonly setCookies: ReadonlyArray<string>
  private readonly body: Body | Uint8Array
  private bytes: Effect.Effect<ArrayBuffer, HttpClientError.HttpClientError> | undefined

  constructor(
    request: HttpClientRequest.HttpClientRequest,
    url: string,
    head: Head,
    /** Bytes where all of them came along with the head. */
    body: Body | Uint8Array
  ) {
    super()
    this.request = request
    this.url = url
    this.status = head.status
    this.headers = Headers.fromRecordUnsafe(head.headers)
    this.setCookies = head.cookies
    this.body = body
  }

  get cookies(): Cookies.Cookies {
    return Cookies.fromSetCookie(this.setCookies)
  }

  private failed(cause: unknown): HttpClientError.HttpClientError {
    return new HttpClientError.HttpClientError({
      reason: new HttpClientError.DecodeError({ request: this.request, response: this, cause })
    })
  }

  /** A reply that was derived from this one may have another body, and its stream is to be asked. */
  get [ResponseBody.Whole](): Uint8Array | undefined {
    return Object.hasOwn(this, "body") && this.body instanceof Uint8Array ? this.body : undefined
  }

  get stream(): Stream.Stream<Uint8Array, HttpClientError.HttpClientError> {
    const body = this.body
    if (body instanceof Uint8Array) return body.length === 0 ? Stream.empty : Stream.succeed(body)
    const lent = Stream.ensuring(
      Stream.fromPull(Effect.sync(() =>
        Effect.catchIf(
          body.pull,
          (error): error is Error => !Cause.isDone(error),
          (error) => Effect.fail(this.failed(error))
        )
      )),
      Effect.sync(body.close)
    )
    return Stream.unwrap(Effect.map(ResponseBody.Lending, (isLent) => isLent ? lent : owned(lent)))
  }

  get arrayBuffer(): Effect.Effect<ArrayBuffer, HttpClientError.HttpClientError> {
    return this.bytes ??= this.stream.pipe(
      Stream.runCollect,
      Effect.provideService(ResponseBody.Lending, false),
      Effect.map((chunks) => {
        let size = 0
        for (const chunk of chunks) size += chunk.length
        const all = new Uint8Array(size)
        let at = 0
        for (const chunk of chunks) {
          all.set(chunk, at)
          at += chunk.length
        }
        return all.buffer
      }),
      Effect.cached,
      Effect.runSync
    )
  }

  get text(): Effect.Effect<string, HttpClientError.HttpClientError> {
    return Effect.map(this.arrayBuffer, (bytes) => new TextDecoder().decode(bytes))
  }

  get json(): HttpClientResponse.HttpClientResponse["json"] {
    return Effect.flatMap(this.text, (text) =>
      Effect.try({
        try: () => text === "" ? null : JSON.parse(text),
        catch: (cause) => this.failed(cause)
      }))
  }

  get urlParamsBody(): Effect.Effect<UrlParams.UrlParams, HttpClientError.HttpClientError> {
    return Effect.map(this.text, (text) => UrlParams.fromInput(new URLSearchParams(text)))
  }

  get formData(): Effect.Effect<FormData, HttpClientError.HttpClientError> {
    return Effect.flatMap(this.arrayBuffer, (bytes) =>
      Effect.tryPromise({
        try: () => new Response(bytes, { headers: this.headers }).formData(),
        catch: (cause) => this.failed(cause)
      }))
  }

  get upgrade(): HttpClientResponse.HttpClientResponse["upgrade"] {
    return Effect.fail(this.failed(new Error("this client asks for no upgrades")))
  }

  toJSON(): unknown {
    return HttpIncomingMessage.inspect(this, {
      _id: "effect/http/HttpClientResponse",
      request: this.request.toJSON(),
      status: this.status
    })
  }

  pipe() {
    return pipeArguments(this, arguments)
  }
}
