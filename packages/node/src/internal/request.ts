/**
 * A request as handlers see it. What few of them ask for, such as forms, is found out when they do.
 */
import { Lending } from "@effect-oci/registry/Storage"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import { HttpServerError, RequestParseError } from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as UrlParams from "effect/http/UrlParams"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Asked } from "./served.ts"

type Modified = Partial<
  Pick<HttpServerRequest.HttpServerRequest, "url" | "headers" | "remoteAddress" | "peerAddress" | "protocol">
>

export class Request extends Inspectable.Class implements HttpServerRequest.HttpServerRequest {
  readonly [HttpServerRequest.TypeId]: typeof HttpServerRequest.TypeId = HttpServerRequest.TypeId
  readonly [HttpIncomingMessage.TypeId]: typeof HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly source: Asked
  readonly method: string
  readonly url: string
  readonly headers: Headers.Headers
  readonly remoteAddress: Option.Option<string>
  readonly peerAddress: Option.Option<string>
  readonly protocol: "http" | "https"

  constructor(source: Asked, modified: Modified) {
    super()
    this.source = source
    this.method = source.head.method
    this.url = modified.url ?? source.head.target
    this.headers = modified.headers ?? Headers.fromRecordUnsafe(source.head.headers)
    this.remoteAddress = modified.remoteAddress ?? Option.fromUndefinedOr(source.address)
    this.peerAddress = modified.peerAddress ?? this.remoteAddress
    this.protocol = modified.protocol ?? source.protocol
  }

  get originalUrl(): string {
    return this.source.head.target
  }

  /** Chunks that are whoever's who asked for them, unless a loan will do. */
  get stream(): Stream.Stream<Uint8Array, HttpServerError> {
    const { body } = this.source
    return body === undefined ?
      Stream.empty :
      Stream.transformPull(
        Stream.empty,
        (_, scope) =>
          Effect.map(
            Effect.andThen(Scope.addFinalizer(scope, Effect.sync(body.close)), Lending),
            (isLent) =>
              Effect.mapBoth(body.pull, {
                onFailure: (error) =>
                  Cause.isDone(error)
                    ? error
                    : new HttpServerError({ reason: new RequestParseError({ request: this, cause: error }) }),
                onSuccess: (chunks) => isLent ? chunks : Arr.map(chunks, (chunk) => chunk.slice())
              })
          )
      )
  }

  modify(options: Modified): Request {
    const { headers, peerAddress, protocol, remoteAddress, url } = this
    return new Request(this.source, { url, headers, remoteAddress, peerAddress, protocol, ...options })
  }

  /** The same, as any request has it. */
  private get whole(): HttpServerRequest.HttpServerRequest {
    return HttpServerRequest.fromClientRequest(HttpClientRequest.makeWith(
      this.source.head.method,
      `${this.protocol}://${this.headers["host"] ?? "localhost"}${this.url}`,
      UrlParams.empty,
      Option.none(),
      this.headers,
      HttpBody.stream(this.stream)
    ))
  }
  get cookies() {
    return this.whole.cookies
  }
  get text() {
    return this.whole.text
  }
  get json() {
    return this.whole.json
  }
  get urlParamsBody() {
    return this.whole.urlParamsBody
  }
  get arrayBuffer() {
    return this.whole.arrayBuffer
  }
  get multipart() {
    return this.whole.multipart
  }
  get multipartStream() {
    return this.whole.multipartStream
  }
  get upgrade() {
    return this.whole.upgrade
  }
  get upgradeWith() {
    return this.whole.upgradeWith
  }
  toJSON(): unknown {
    return HttpIncomingMessage.inspect(this, { _id: "HttpServerRequest", method: this.method, url: this.url })
  }
}
