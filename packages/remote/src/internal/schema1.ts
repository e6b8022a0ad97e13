/**
 * Docker's schema 1: passed on and never read, but for what its digest is of and which blobs it needs.
 */
import * as Digest from "@effect-oci/name/Digest"
import { isObject, parse as parseJson } from "@effect-oci/spec/Json"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Result from "effect/Result"

const json = (bytes: Uint8Array): unknown => Result.getOrUndefined(parseJson(bytes, "manifest"))

/**
 * What was signed: the manifest without its signatures, as a JWS of Docker says to put it together again. Nothing where the
 * bytes do not say it.
 */
export const payload = (bytes: Uint8Array): Uint8Array | undefined => {
  const document = json(bytes)
  const signatures = isObject(document) ? document["signatures"] : undefined
  const first = Array.isArray(signatures) ? signatures[0] : undefined
  if (!isObject(first) || typeof first["protected"] !== "string") return undefined
  const header = Base64Url.decode(first["protected"])
  const format = Result.isSuccess(header) ? json(header.success) : undefined
  if (!isObject(format)) return undefined
  const { formatLength, formatTail } = format
  if (typeof formatLength !== "number" || typeof formatTail !== "string") return undefined
  const tail = Base64Url.decode(formatTail)
  if (Result.isFailure(tail) || formatLength < 0 || formatLength > bytes.length) return undefined
  const signed = new Uint8Array(formatLength + tail.success.length)
  signed.set(bytes.subarray(0, formatLength))
  signed.set(tail.success, formatLength)
  return signed
}

/** The digests of its layers, each once. */
export const layers = (bytes: Uint8Array): ReadonlyArray<Digest.Digest> => {
  const document = json(bytes)
  const all = isObject(document) && Array.isArray(document["fsLayers"]) ? document["fsLayers"] as Array<unknown> : []
  return [
    ...new Set(all.flatMap((layer) => {
      const sum = isObject(layer) ? layer["blobSum"] : undefined
      const digest = typeof sum === "string" ? Digest.parse(sum) : undefined
      return digest !== undefined && Result.isSuccess(digest) ? [digest.success] : []
    }))
  ]
}
