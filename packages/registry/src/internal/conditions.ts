/**
 * That what is there is what the client has seen, or is not, where it says so (RFC 9110, section 13).
 */
import type * as Digest from "@effect-oci/name/Digest"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Option from "effect/Option"
import type { Condition } from "../Storage.ts"
import * as Reply from "./reply.ts"

type Request = Pick<HttpServerRequest.HttpServerRequest, "headers" | "method">

const among = (list: string, now: Digest.Digest): boolean =>
  list.split(",").some((tag) => tag.trim() === "*" || tag.trim().replace(/^W\//, "") === `"${now}"`)

/** Whether it holds, by what there is; nothing where nothing is said. */
export const of = (
  { headers: { "if-match": match, "if-none-match": noneMatch } }: Request
): Condition["holds"] | undefined =>
  match === undefined && noneMatch === undefined ? undefined : Option.match({
    onNone: () => match === undefined,
    onSome: (now) => (match === undefined || among(match, now)) && (noneMatch === undefined || !among(noneMatch, now))
  })

export const failed: Reply.Reply = Reply.failure(412, "DENIED", "what is there is another one by now")

/** What whoever reads is told instead of what there is. */
export const refused = (request: Request, now: Digest.Digest): Reply.Reply | undefined => {
  if (of(request)?.(Option.some(now)) !== false) return undefined
  const match = request.headers["if-match"]
  return match === undefined || among(match, now)
    ? Reply.empty(304, { etag: `"${now}"`, "docker-content-digest": now })
    : failed
}
