/**
 * Replies that all endpoints share.
 */
import * as Digest from "@effect-oci/name/Digest"
import * as ErrorBody from "@effect-oci/spec/ErrorBody"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Result from "effect/Result"
import type * as Stream from "effect/Stream"
import type { StorageError } from "../Storage.ts"

export type Reply = HttpServerResponse.HttpServerResponse

type Headers = Readonly<Record<string, string>>

/** With what all replies say. */
const said = (headers: Headers): Headers => ({ ...headers, "docker-distribution-api-version": "registry/2.0" })

/** With what is said of what others have pushed: whatever type it says it has, a browser runs nothing of it. */
const inert = (headers: Headers): Headers => ({
  ...headers,
  "docker-distribution-api-version": "registry/2.0",
  "x-content-type-options": "nosniff",
  "content-security-policy": "sandbox; default-src 'none'"
})

export const failure = (
  status: number,
  code: ErrorBody.Code,
  message: string,
  headers: Headers = {}
): Reply =>
  HttpServerResponse.uint8Array(ErrorBody.encode([{ code, message, detail: null }]), {
    status,
    contentType: "application/json",
    headers: said(headers)
  })

export const json = (body: unknown, headers: Headers = {}): Reply =>
  HttpServerResponse.jsonUnsafe(body, { headers: said(headers) })

/** Bytes that somebody has pushed. */
export const bytes = (body: Uint8Array, contentType: string, headers: Headers): Reply =>
  HttpServerResponse.uint8Array(body, { contentType, headers: inert(headers) })

/** Bytes that somebody has pushed, as many as is said. */
export const stream = (
  status: number,
  body: Stream.Stream<Uint8Array, unknown>,
  contentLength: number,
  headers: Headers,
  contentType = "application/octet-stream"
): Reply =>
  HttpServerResponse.stream(body, {
    status,
    contentType,
    contentLength,
    headers: inert(headers)
  })

/** The code that fits a status best. */
export const codeOf = (status: number): ErrorBody.Code =>
  status === 401 ? "UNAUTHORIZED" : status === 403 ? "DENIED" : status === 429 ? "TOOMANYREQUESTS" : "UNSUPPORTED"

export const empty = (status: number, headers: Headers = {}): Reply =>
  HttpServerResponse.empty({ status, headers: said(headers) })

/** What a HEAD gets: the headers of the reply to a GET. */
export const withoutBody = (reply: Reply): Reply => HttpServerResponse.empty(reply)

/** What there is under a digest, if it is one. */
export const withDigest = <R>(
  text: string,
  use: (digest: Digest.Digest) => Effect.Effect<Reply, StorageError, R>
): Effect.Effect<Reply, StorageError, R> =>
  Result.match(Digest.parse(text), {
    onFailure: (error) => Effect.succeed(failure(400, "DIGEST_INVALID", error.message)),
    onSuccess: use
  })

export const notAllowed = (allow: string): Reply =>
  failure(405, "UNSUPPORTED", "the method is not supported here", { allow })

export const fromStorage = (error: StorageError): Reply => {
  switch (error.reason) {
    case "NoBlob":
      return failure(404, "BLOB_UNKNOWN", error.detail)
    case "NoUpload":
      return failure(404, "BLOB_UPLOAD_UNKNOWN", error.detail)
    case "OutOfOrder":
      return failure(416, "BLOB_UPLOAD_INVALID", error.detail)
    case "DigestMismatch":
      return failure(400, "DIGEST_INVALID", error.detail)
    case "Busy":
      return failure(429, "TOOMANYREQUESTS", error.detail, {
        "retry-after": String(Math.ceil(Duration.toSeconds(error.retryAfter ?? Duration.seconds(10))))
      })
    case "NoSpace":
      return failure(507, "DENIED", error.detail)
    case "Upstream":
      return failure(502, "UNSUPPORTED", error.detail)
    case "Failed":
      return failure(500, "UNSUPPORTED", error.detail)
  }
}
