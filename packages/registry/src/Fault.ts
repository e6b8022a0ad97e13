/**
 * Faults as data: what goes wrong with which requests, in process or on a port.
 *
 * @since 1.0.0
 */
import * as Registry from "@effect-oci/name/Registry"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Random from "./internal/random.ts"
import * as Route from "./internal/route.ts"
import { strike } from "./internal/strike.ts"

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
  | { readonly _tag: "Headers"; readonly headers: Readonly<Record<string, string | undefined | Rewrite>> }
  | { readonly _tag: "Forget"; readonly headers: ReadonlyArray<string> }
  | { readonly _tag: "Expire" }
  | { readonly _tag: "Lose" }
  | { readonly _tag: "Latency"; readonly duration: Duration.Duration }
  | { readonly _tag: "Bandwidth"; readonly bytesPerSecond: number }
  | { readonly _tag: "Refuse" }

/**
 * What a header says instead of what the registry says with it, which is nothing where it says none.
 *
 * @category models
 * @since 1.0.0
 */
export type Rewrite = (told: string | undefined, request: HttpServerRequest.HttpServerRequest) => string | undefined

/** The host that is asked for a registry. What is no registry's name is taken as it is. */
const asked = (host: string): string => {
  const registry = Registry.parse(host)
  return Result.isSuccess(registry) ? Registry.apiHost(registry.success) : host
}

/** A number that says how often. One that says nothing is a defect: a fault would never strike, or for ever. */
const within = (number: number, most: number): number => {
  if (number >= 0 && number <= most) return number
  throw new RangeError(`${number} is no ${most === 1 ? "probability" : "number of requests"}`)
}

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
  readonly most: number | undefined
  /**
   * How long it strikes, from the first time on, in milliseconds.
   */
  readonly duration: number | undefined
  readonly chance: { readonly probability: number; readonly seed: string | undefined } | undefined
  /**
   * Another that has to be over first.
   */
  readonly previous: Fault | undefined

  constructor(action: Action, where: Partial<Omit<Fault, "action">> = {}) {
    this.action = action
    this.method = where.method
    this.path = where.path ?? ""
    this.host = where.host
    this.skipped = where.skipped ?? 0
    this.most = where.most
    this.duration = where.duration
    this.chance = where.chance
    this.previous = where.previous
  }

  /**
   * How many it strikes. Unless told one, or all of those that `lasting` or `sometimes` leaves to it.
   */
  get count(): number {
    return this.most ?? (this.duration === undefined && this.chance === undefined ? 1 : Infinity)
  }

  /**
   * Strikes requests of this method, `*` for any, whose path and query have the fragment in them, such as `/manifests/` or
   * `?mount=`.
   */
  on(method: string, path = ""): Fault {
    return new Fault(this.action, { ...this, method: method === "*" ? undefined : method.toUpperCase(), path })
  }
  /**
   * Strikes requests to this registry only, by whatever name: those for Docker Hub go to another host than references say.
   */
  at(host: string): Fault {
    return new Fault(this.action, { ...this, host: asked(host) })
  }
  /**
   * Lets so many of them pass first.
   */
  skip(count: number): Fault {
    return new Fault(this.action, { ...this, skipped: within(count, Infinity) })
  }
  /**
   * Strikes so many of them.
   */
  times(count: number): Fault {
    return new Fault(this.action, { ...this, most: within(count, Infinity) })
  }
  /**
   * Strikes all of them.
   */
  always(): Fault {
    return this.times(Infinity)
  }
  /**
   * Strikes for so long only, from the first on: a window in which a registry lets nobody in.
   */
  lasting(duration: Duration.Input): Fault {
    return new Fault(this.action, { ...this, duration: Duration.toMillis(Duration.fromInputUnsafe(duration)) })
  }
  /**
   * Strikes each of them with this probability, from 0 to 1: the same ones for the same seed, which is another for each fault
   * of a plan unless given.
   */
  sometimes(probability: number, seed?: string): Fault {
    return new Fault(this.action, { ...this, chance: { probability: within(probability, 1), seed } })
  }
}

/**
 * Faults of which each waits until the one before it is over, whichever requests they strike.
 *
 * **Example** (An upload that is lost, and then a registry that is busy)
 *
 * ```ts
 * import * as Fault from "@effect-oci/registry/Fault"
 *
 * Fault.plan(...Fault.sequence(Fault.sessionLost.on("PATCH"), Fault.rateLimit(1).on("POST").times(2)))
 * ```
 *
 * @category combinators
 * @since 1.0.0
 */
export const sequence = (...faults: ReadonlyArray<Fault>): ReadonlyArray<Fault> => {
  const all: Array<Fault> = []
  for (const fault of faults) all.push(new Fault(fault.action, { ...fault, previous: all.at(-1) }))
  return all
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
 * Loses an upload's session: the registry cancels it, and knows it no more when it answers this request or any later one.
 * Requests for anything else are not struck.
 *
 * @category constructors
 * @since 1.0.0
 */
export const sessionLost: Fault = new Fault({ _tag: "Lose" })

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
 * **Example** (A registry that does not name its host)
 *
 * ```ts
 * import * as Fault from "@effect-oci/registry/Fault"
 *
 * Fault.headers({ location: (told) => told?.replace(/^https?:\/\/[^/]+/, "") }).on("*", "/blobs/uploads/").always()
 * ```
 *
 * @category constructors
 * @since 1.0.0
 */
export const headers = (headers: Readonly<Record<string, string | undefined | Rewrite>>): Fault =>
  new Fault({ _tag: "Headers", headers })

const isUpload = ({ url }: HttpServerRequest.HttpServerRequest): boolean => {
  const { _tag } = Route.target(url).route
  return _tag === "Uploads" || _tag === "Upload"
}

/**
 * Answers with headers that say something else than the registry would: that the content has another digest or length, that
 * it is another range or an upload has come to another, that it goes on elsewhere. Of a body that is longer than is said nobody sees more, and one that is shorter
 * breaks off.
 *
 * @category constructors
 * @since 1.0.0
 */
export const lie = (
  { digest, length, location, range }: {
    readonly digest?: string
    readonly length?: number
    readonly range?: string
    readonly location?: string
  }
): Fault =>
  headers({
    ...(digest === undefined ? {} : { "docker-content-digest": digest }),
    ...(length === undefined ? {} : { "content-length": String(length) }),
    ...(range === undefined ? {} : {
      range: (told, request) => isUpload(request) ? range : told,
      "content-range": (told, request) => isUpload(request) ? told : range
    }),
    ...(location === undefined ? {} : { location })
  })

/**
 * Answers as if the request had not had these headers: a `range` that is not understood, an `authorization` that is lost on
 * the way. Requests that have none of them are not struck.
 *
 * @category constructors
 * @since 1.0.0
 */
export const forget = (...headers: ReadonlyArray<string>): Fault =>
  new Fault({ _tag: "Forget", headers: headers.map((name) => name.toLowerCase()) })

/**
 * Answers as if the request's token had expired, whoever may do the same without one. Requests without a token are not struck.
 *
 * @category constructors
 * @since 1.0.0
 */
export const tokenExpired: Fault = new Fault({ _tag: "Expire" })

/**
 * Answers later.
 *
 * @category constructors
 * @since 1.0.0
 */
export const latency = (duration: Duration.Input): Fault =>
  new Fault({ _tag: "Latency", duration: Duration.fromInputUnsafe(duration) })

/**
 * Takes the request's body and gives the reply's at so many bytes a second.
 *
 * @category constructors
 * @since 1.0.0
 */
export const bandwidth = (bytesPerSecond: number): Fault => new Fault({ _tag: "Bandwidth", bytesPerSecond })

/**
 * Lets nobody connect. On a port, where somebody has connected before anything was asked, the connection is cut.
 *
 * @category constructors
 * @since 1.0.0
 */
export const refuse: Fault = new Fault({ _tag: "Refuse" })

/**
 * A connection that was cut, before there was a reply or within its body. Whoever serves the registry cuts it.
 *
 * @category errors
 * @since 1.0.0
 */
export class Disconnected extends Schema.Error<Disconnected>("@effect-oci/registry/Fault/Disconnected")({
  _tag: Schema.tag("Disconnected"),
  /**
   * Never there, reset, or closed as if all had been said.
   */
  how: Schema.Literals(["refused", "reset", "closed"])
}) {
  override get message(): string {
    return `the connection was ${this.how}`
  }
}

/**
 * What faults see of a request.
 *
 * @category models
 * @since 1.0.0
 */
export type Asked = Pick<HttpServerRequest.HttpServerRequest, "method" | "url" | "headers">

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
   * How many requests were struck so far.
   */
  readonly struck: Effect.Effect<number>
  /**
   * The faults that have struck no request so far: a test whose fault met nobody shows nothing.
   */
  readonly unmet: Effect.Effect<ReadonlyArray<Fault>>
  /**
   * What goes wrong with a request at this time, in milliseconds, and that it was its turn: the faults injected first come
   * first.
   */
  readonly next: (request: Asked, now: number) => Action | undefined
}

interface State {
  readonly fault: Fault
  /**
   * What chance goes by.
   */
  readonly seed: string
  /**
   * How many it let pass or struck.
   */
  seen: number
  /**
   * How often it was up to chance.
   */
  drawn: number
  /**
   * When it is over.
   */
  until: number
}

/** Whether there is anything in a request that it could go wrong with. */
const concerns = (action: Action, { headers, url }: Asked): boolean => {
  switch (action._tag) {
    case "Forget":
      return action.headers.some((name) => headers[name] !== undefined)
    case "Expire":
      return /^bearer /i.test(headers["authorization"] ?? "")
    case "Lose":
      return Route.target(url).route._tag === "Upload"
    default:
      return true
  }
}

const fits = ({ action, host, method, path }: Fault, request: Asked): boolean =>
  (method === undefined || method === request.method) && request.url.includes(path) &&
  (host === undefined || host === request.headers["host"]) && concerns(action, request)

const isOver = ({ fault, seen, until }: State, now: number): boolean =>
  now >= until || seen >= fault.skipped + fault.count

const strikes = (state: State, now: number): boolean => {
  const { chance, duration = Infinity, skipped } = state.fault
  if (state.seen >= skipped && chance !== undefined) {
    const drawn = new DataView(Random.bytes(`${state.seed}-${state.drawn++}`, 4).buffer).getUint32(0)
    if (drawn >= chance.probability * 2 ** 32) return false
  }
  state.seen++
  if (state.seen <= skipped) return false
  state.until = Math.min(state.until, now + duration)
  return true
}

/**
 * Makes a plan.
 *
 * @category constructors
 * @since 1.0.0
 */
export const plan = (...initial: ReadonlyArray<Fault>): Plan => {
  let states: Array<State> = []
  let struck = 0
  const add = (faults: ReadonlyArray<Fault>) => {
    for (const fault of faults) {
      const seed = fault.chance?.seed ?? String(states.length)
      states.push({ fault, seed, seen: 0, drawn: 0, until: Infinity })
    }
  }
  add(initial)
  return {
    struck: Effect.sync(() => struck),
    unmet: Effect.sync(() => states.flatMap(({ fault, seen }) => seen <= fault.skipped ? [fault] : [])),
    inject: (...more) => Effect.sync(() => add(more)),
    clear: Effect.sync(() => {
      states = []
      struck = 0
    }),
    next: (request, now) => {
      for (const state of states) {
        const { fault } = state
        const isWaiting = states.some((other) => other.fault === fault.previous && !isOver(other, now))
        if (!fits(fault, request) || isWaiting || isOver(state, now) || !strikes(state, now)) continue
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
  Effect.contextWith((context: Context.Context<HttpServerRequest.HttpServerRequest>) => {
    const request = Context.get(context, HttpServerRequest.HttpServerRequest)
    const action = plan.next(request, Context.get(context, Clock.Clock).currentTimeMillisUnsafe())
    return action === undefined ? app : strike(app, action, request, (how) => new Disconnected({ how }))
  })
