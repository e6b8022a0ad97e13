/**
 * Faults as data: what goes wrong with which requests, in process or on a port.
 *
 * @since 1.0.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Body from "./internal/faultyBody.ts"
import * as Reply from "./internal/reply.ts"

/**
 * What goes wrong. Sizes and positions are in bytes.
 *
 * @category models
 * @since 1.0.0
 */
export type Action =
  | {
    readonly _tag: "Status"
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body: string | undefined
    readonly late: boolean
  }
  | { readonly _tag: "Reset"; readonly after: number | "reply" }
  | { readonly _tag: "Stall"; readonly after: number | undefined }
  | { readonly _tag: "StallUpload"; readonly after: number }
  | { readonly _tag: "Truncate"; readonly after: number; readonly end: "close" | "reset" | "clean" }
  | { readonly _tag: "Corrupt"; readonly at: number }
  | { readonly _tag: "Trickle"; readonly after: number; readonly bytesPerSecond: number }
  | { readonly _tag: "Overlong"; readonly by: number }
  | { readonly _tag: "Headers"; readonly headers: Readonly<Record<string, string | undefined>> }
  | { readonly _tag: "Forget"; readonly headers: ReadonlyArray<string> }
  | { readonly _tag: "Latency"; readonly duration: Duration.Duration }

/**
 * One thing that goes wrong, with the requests it strikes. Each method gives a new fault.
 *
 * **Example** (Two failing manifests)
 *
 * ```ts
 * import * as Fault from "@effect-oci/registry/Fault"
 *
 * Fault.status(503).on("PUT", "/manifests/").times(2)
 * ```
 *
 * @category models
 * @since 1.0.0
 */
export class Fault {
  readonly action: Action
  readonly method: string | undefined
  readonly path: string
  readonly host: string | undefined
  readonly skipped: number
  readonly count: number

  constructor(
    action: Action,
    where: Partial<Pick<Fault, "method" | "path" | "host" | "skipped" | "count">> = {}
  ) {
    this.action = action
    this.method = where.method
    this.path = where.path ?? ""
    this.host = where.host
    this.skipped = where.skipped ?? 0
    this.count = where.count ?? 1
  }

  /**
   * Strikes requests of this method, `*` for any, whose path has the fragment in it.
   */
  on(method: string, path = ""): Fault {
    return new Fault(this.action, { ...this, method: method === "*" ? undefined : method, path })
  }
  /**
   * Strikes requests to this host only.
   */
  at(host: string): Fault {
    return new Fault(this.action, { ...this, host })
  }
  /**
   * Lets so many of them pass first.
   */
  skip(count: number): Fault {
    return new Fault(this.action, { ...this, skipped: count })
  }
  /**
   * Strikes so many of them; once unless told.
   */
  times(count: number): Fault {
    return new Fault(this.action, { ...this, count })
  }
  /**
   * Strikes all of them.
   */
  always(): Fault {
    return this.times(Infinity)
  }
}

/**
 * Answers with a status; the body is an error body of the specification unless given. A `late` answer comes when all of
 * the request's body has arrived, any other at once.
 *
 * @category constructors
 * @since 1.0.0
 */
export const status = (
  status: number,
  options: {
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: string
    readonly late?: boolean
  } = {}
): Fault =>
  new Fault({
    _tag: "Status",
    status,
    headers: options.headers ?? {},
    body: options.body,
    late: options.late ?? false
  })

/**
 * Answers 404 as a registry does that has lost an upload's session.
 *
 * @category constructors
 * @since 1.0.0
 */
export const sessionLost: Fault = status(404, { body: JSON.stringify({ errors: [{ code: "BLOB_UPLOAD_UNKNOWN" }] }) })

/**
 * Answers 429, with `Retry-After` in seconds or as a date.
 *
 * @category constructors
 * @since 1.0.0
 */
export const rateLimit = (retryAfter: number | string): Fault =>
  status(429, { headers: { "retry-after": String(retryAfter) } })

/**
 * Cuts the connection once the request's body has had `after` bytes, which the registry keeps; 0 unless given.
 *
 * @category constructors
 * @since 1.0.0
 */
export const reset = (after = 0): Fault => new Fault({ _tag: "Reset", after })

/**
 * Does what was asked, and cuts the connection instead of saying so.
 *
 * @category constructors
 * @since 1.0.0
 */
export const lostReply: Fault = new Fault({ _tag: "Reset", after: "reply" })

/**
 * Never answers; or answers and goes silent once the reply's body has had `after` bytes.
 *
 * @category constructors
 * @since 1.0.0
 */
export const stall = (after?: number | undefined): Fault => new Fault({ _tag: "Stall", after })

/**
 * Takes `after` bytes of the request's body, and no more; never answers.
 *
 * @category constructors
 * @since 1.0.0
 */
export const stallUpload = (after: number): Fault => new Fault({ _tag: "StallUpload", after })

/**
 * Cuts the connection within the reply's body: `close` ends it early, `reset` is what a broken link or a killed peer looks
 * like, and `clean` the end of a body whose length nobody said.
 *
 * @category constructors
 * @since 1.0.0
 */
export const truncate = (after: number, options: { readonly end?: "close" | "reset" | "clean" } = {}): Fault =>
  new Fault({ _tag: "Truncate", after, end: options.end ?? "close" })

/**
 * Flips one bit of the reply's body.
 *
 * @category constructors
 * @since 1.0.0
 */
export const corrupt = (at = 0): Fault => new Fault({ _tag: "Corrupt", at })

/**
 * Lets the reply's body come slowly, a byte at a time, once it has had `after` bytes.
 *
 * @category constructors
 * @since 1.0.0
 */
export const trickle = (bytesPerSecond: number, after = 0): Fault =>
  new Fault({ _tag: "Trickle", after, bytesPerSecond })

/**
 * Adds bytes to the reply's body, and does not say how long it is.
 *
 * @category constructors
 * @since 1.0.0
 */
export const overlong = (by: number): Fault => new Fault({ _tag: "Overlong", by })

/**
 * Answers with other headers than the registry would, without those that are `undefined`: lies about a digest, a length, a
 * range, a location.
 *
 * @category constructors
 * @since 1.0.0
 */
export const headers = (headers: Readonly<Record<string, string | undefined>>): Fault =>
  new Fault({ _tag: "Headers", headers })

/**
 * Answers as if the request had not had these headers: a `range` that is not understood, an `authorization` whose token
 * has expired.
 *
 * @category constructors
 * @since 1.0.0
 */
export const forget = (...headers: ReadonlyArray<string>): Fault => new Fault({ _tag: "Forget", headers })

/**
 * Answers later.
 *
 * @category constructors
 * @since 1.0.0
 */
export const latency = (duration: Duration.Input): Fault =>
  new Fault({ _tag: "Latency", duration: Duration.fromInputUnsafe(duration) })

/**
 * A connection that was cut, before there was a reply or within its body. Whoever serves the registry cuts it.
 *
 * @category errors
 * @since 1.0.0
 */
export class Disconnected extends Schema.Error<Disconnected>("@effect-oci/registry/Fault/Disconnected")({
  _tag: Schema.tag("Disconnected"),
  /**
   * Reset, or closed as if all had been said.
   */
  reset: Schema.Boolean
}) {
  override get message(): string {
    return this.reset ? "the connection was reset" : "the connection was closed"
  }
}

/**
 * Faults that wait for their requests. It is mutable.
 *
 * @category models
 * @since 1.0.0
 */
export interface Plan {
  readonly inject: (...faults: ReadonlyArray<Fault>) => Effect.Effect<void>
  /**
   * Forgets all of them.
   */
  readonly clear: Effect.Effect<void>
  /**
   * How many requests were struck so far: a test whose fault met nobody shows nothing.
   */
  readonly struck: Effect.Effect<number>
  /**
   * What goes wrong with a request, and that it was its turn: the faults injected first come first.
   */
  readonly next: (
    request: { readonly method: string; readonly host: string; readonly path: string }
  ) => Action | undefined
}

/**
 * Makes a plan.
 *
 * @category constructors
 * @since 1.0.0
 */
export const plan = (...initial: ReadonlyArray<Fault>): Plan => {
  const waiting = (fault: Fault) => ({ fault, seen: 0 })
  let faults = initial.map(waiting)
  let struck = 0
  return {
    struck: Effect.sync(() => struck),
    inject: (...more) => Effect.sync(() => void faults.push(...more.map(waiting))),
    clear: Effect.sync(() => {
      faults = []
      struck = 0
    }),
    next: ({ host, method, path }) => {
      for (const state of faults) {
        const { fault } = state
        const fits = (fault.method === undefined || fault.method === method) && path.includes(fault.path) &&
          (fault.host === undefined || fault.host === host)
        if (!fits || state.seen >= fault.skipped + fault.count) continue
        state.seen++
        if (state.seen <= fault.skipped) continue
        struck++
        return fault.action
      }
      return undefined
    }
  }
}

type App<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, HttpServerRequest.HttpServerRequest | R>

/**
 * Puts a plan of faults before a registry.
 *
 * @category guarding
 * @since 1.0.0
 */
export const guard = <E, R>(app: App<E, R>, plan: Plan): App<E | Disconnected, R> =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const question = request.url.indexOf("?")
    const path = question === -1 ? request.url : request.url.slice(0, question)
    const action = plan.next({ method: request.method, host: request.headers["host"] ?? "", path })
    switch (action?._tag) {
      case undefined:
        return yield* app
      case "Status":
        if (action.late) yield* Effect.ignore(Stream.runDrain(request.stream))
        return action.body === undefined
          ? Reply.failure(action.status, Reply.codeOf(action.status), "as ordered", action.headers)
          : Reply.text(action.status, action.body, action.headers)
      case "Latency":
        return yield* Effect.delay(app, action.duration)
      case "Reset":
        if (action.after !== 0) {
          const cut = action.after === "reply" ? request : Body.cutRequest(request, action.after, Stream.fail("cut"))
          yield* Effect.provideService(app, HttpServerRequest.HttpServerRequest, cut)
        }
        return yield* new Disconnected({ reset: true })
      case "Stall":
        return action.after === undefined ? yield* Effect.never : Body.stall(yield* app, action.after)
      case "StallUpload":
        // Whatever the registry says of it in the end.
        return yield* Effect.andThen(
          Effect.provideService(
            app,
            HttpServerRequest.HttpServerRequest,
            Body.cutRequest(request, action.after, Stream.never)
          ),
          Effect.never
        )
      case "Truncate":
        return action.end === "clean"
          ? Body.endEarly(yield* app, action.after)
          : Body.truncate(yield* app, action.after, new Disconnected({ reset: action.end === "reset" }))
      case "Corrupt":
        return Body.corrupt(yield* app, action.at)
      case "Trickle":
        return Body.trickle(yield* app, action.after, action.bytesPerSecond)
      case "Overlong":
        return Body.overlong(yield* app, action.by)
      case "Headers":
        return Body.withHeaders(yield* app, action.headers)
      case "Forget":
        return yield* Effect.provideService(
          app,
          HttpServerRequest.HttpServerRequest,
          request.modify({ headers: Headers.removeMany(request.headers, action.headers) })
        )
    }
  })
