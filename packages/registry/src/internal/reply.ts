/**
 * Replies that all endpoints share.
 */
import * as ErrorBody from "@effect-oci/spec/ErrorBody"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { StorageError } from "../Storage.ts"

export type Reply = HttpServerResponse.HttpServerResponse

export const failure = (
  status: number,
  code: ErrorBody.Code,
  message: string,
  headers: Record<string, string> = {}
): Reply =>
  HttpServerResponse.uint8Array(ErrorBody.encode([{ code, message, detail: null }]), {
    status,
    contentType: "application/json",
    headers
  })

export const text = (status: number, body: string, headers: Readonly<Record<string, string>>): Reply =>
  HttpServerResponse.text(body, { status, headers })

/** The code that fits a status best. */
export const codeOf = (status: number): ErrorBody.Code =>
  status === 401 ? "UNAUTHORIZED" : status === 403 ? "DENIED" : status === 429 ? "TOOMANYREQUESTS" : "UNSUPPORTED"

export const empty = (status: number, headers: Record<string, string> = {}): Reply =>
  HttpServerResponse.empty({ status, headers })

/** What a HEAD gets: the headers of the reply to a GET. */
export const withoutBody = (reply: Reply): Reply => HttpServerResponse.empty(reply)

export const notAllowed = (allow: string): Reply =>
  failure(405, "UNSUPPORTED", "the method is not supported here", { allow })

export const fromStorage = (error: StorageError): Reply => {
  switch (error.reason) {
    case "NoUpload":
      return failure(404, "BLOB_UPLOAD_UNKNOWN", error.detail)
    case "OutOfOrder":
      return failure(416, "BLOB_UPLOAD_INVALID", error.detail)
    case "DigestMismatch":
      return failure(400, "DIGEST_INVALID", error.detail)
    case "Busy":
      return failure(429, "TOOMANYREQUESTS", error.detail, { "retry-after": "10" })
    case "NoSpace":
      return failure(507, "DENIED", error.detail)
    case "Upstream":
      return failure(502, "UNSUPPORTED", error.detail)
    case "Failed":
      return failure(500, "UNSUPPORTED", error.detail)
  }
}
