/**
 * A page in somebody's browser that tries its luck with the registries it can reach.
 */
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type { Settings } from "../Settings.ts"
import * as Reply from "./reply.ts"

/** What it is told, whoever it says it is. */
export const refused = (
  request: HttpServerRequest.HttpServerRequest,
  { hosts }: Settings
): Reply.Reply | undefined => {
  const host = request.headers["host"]?.toLowerCase() ?? ""
  const named = [host, host.replace(/:\d+$/, "")]
  if (hosts !== undefined && !hosts.some((name) => named.includes(name.toLowerCase()))) {
    return Reply.failure(421, "DENIED", "this registry does not answer for that host")
  }
  const origin = request.headers["origin"]?.toLowerCase()
  return origin === undefined || origin.replace(/^https?:\/\//, "") === host
    ? undefined
    : Reply.failure(403, "DENIED", "requests from pages of other origins are not answered")
}
