/**
 * Connections that are kept for the next request, by origin: the one that was used last goes first, so that a quiet time
 * lets the others go.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { AsyncLocalStorage } from "node:async_hooks"
import * as Connection from "./connection.ts"
import { closed } from "./wire.ts"

export interface Options extends Omit<Connection.Options, "room"> {
  /** How many connections an origin gets as long as those come free. */
  readonly connections: number
  /** In milliseconds: where none of them comes free for so long, there is one more. */
  readonly patience: number
  /** How many idle connections are kept, those of all origins counted: each reply may lead to another. */
  readonly idle: number
  /** Why a host is not dialled. */
  readonly refusal: (host: string) => Error | undefined
}

export interface Pool {
  /**
   * A connection to the URL's origin, an idle one unless `fresh`; waits its turn where there are too many, but not for ever:
   * those that have the others may wait for this one. To be run where nothing interrupts, but for the wait: who has been given
   * a connection has to give it back.
   */
  readonly acquire: (
    url: URL,
    fresh: boolean,
    waiting: <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, E>
  ) => Effect.Effect<Connection.Connection, Error>
  /** Takes a connection back, to be used again within so many milliseconds (0 is not at all). */
  readonly release: (url: URL, connection: Connection.Connection, idle: number) => void
  readonly close: () => void
}

interface Waiter {
  readonly fresh: boolean
  readonly resume: (result: Exit.Exit<Connection.Connection, Error>) => void
  /** Stops what is being done for it. */
  stop: (() => void) | undefined
}

interface Idle {
  readonly connection: Connection.Connection
  readonly timer: NodeJS.Timeout
  /** Closes it. */
  readonly forget: () => void
}

interface Origin {
  readonly url: URL
  readonly idle: Array<Idle>
  /** First come, first served. */
  readonly waiting: Set<Waiter>
  /** What closes each connection that is there or in the making. */
  readonly open: Set<() => void>
  /** Ends the wait for one that comes free. */
  timer: NodeJS.Timeout | undefined
}

const KiB = 1024
const MiB = 1024 * KiB

export const make = (options: Options): Pool => {
  const origins = new Map<string, Origin>()
  // There are only so many connections: each may have what it needs. Of a few large blobs each may have more.
  const room: Connection.Room = { free: 8 * MiB, usual: 512 * KiB, largest: 2 * MiB }
  const to: Connection.Options = { ...options, room }
  // A socket keeps what is in the `AsyncLocalStorage` of whoever makes it, for as long as it is open: for others, then.
  const outside = AsyncLocalStorage.snapshot()

  /** Of all origins, the oldest first. */
  const kept = new Set<Idle>()
  const taken = (idle: Idle): void => {
    clearTimeout(idle.timer)
    kept.delete(idle)
  }

  const originOf = (url: URL): Origin => {
    let origin = origins.get(url.origin)
    if (origin === undefined) {
      origin = { url, idle: [], waiting: new Set(), open: new Set(), timer: undefined }
      origins.set(url.origin, origin)
    }
    return origin
  }

  const hasRoom = (origin: Origin): boolean => origin.open.size < options.connections || origin.idle.length > 0

  const left = (origin: Origin, close: () => void): void => {
    if (!origin.open.delete(close)) return
    for (const waiter of origin.waiting) {
      if (!hasRoom(origin)) break
      waiter.stop?.()
      begin(origin, waiter)
      watch(origin)
    }
    if (origin.open.size === 0 && origin.waiting.size === 0) origins.delete(origin.url.origin)
  }

  const drop = (origin: Origin, connection: Connection.Connection): void => {
    connection.destroy()
    left(origin, connection.destroy)
  }

  const takeIdle = (origin: Origin): Connection.Connection | undefined => {
    for (let last = origin.idle.pop(); last !== undefined; last = origin.idle.pop()) {
      taken(last)
      last.connection.unread()
      if (last.connection.isAlive()) return last.connection
      drop(origin, last.connection)
    }
    return undefined
  }

  const dial = (origin: Origin, waiter: Waiter): void => {
    // Forgotten with its last connection, if that one was broken.
    if (!origins.has(origin.url.origin)) origins.set(origin.url.origin, origin)
    const close = outside(Connection.open, origin.url, to, (connected: Connection.Connection | Error) => {
      waiter.stop = undefined
      if (connected instanceof Error) {
        waiter.resume(Exit.fail(connected))
        return left(origin, close)
      }
      origin.open.add(connected.destroy)
      origin.open.delete(close)
      waiter.resume(Exit.succeed(connected))
    })
    origin.open.add(close)
    waiter.stop = () => {
      close()
      left(origin, close)
    }
  }

  const begin = (origin: Origin, waiter: Waiter): void => {
    const idle = waiter.fresh ? undefined : takeIdle(origin)
    if (idle !== undefined) return waiter.resume(Exit.succeed(idle))
    // Whoever wants a fresh one gets it in the place of an idle one.
    if (origin.open.size >= options.connections) {
      const oldest = origin.idle.shift()
      if (oldest !== undefined) {
        taken(oldest)
        oldest.connection.destroy()
        origin.open.delete(oldest.connection.destroy)
      }
    }
    dial(origin, waiter)
  }

  /**
   * Begins to wait for the next connection that comes free, if anybody does. For whoever is first there is one more where none
   * does, and for the others after as long again: a slow server is not to get as many as there are requests.
   */
  const watch = (origin: Origin): void => {
    clearTimeout(origin.timer)
    const [first] = origin.waiting
    origin.timer = first && setTimeout(() => {
      const [first] = origin.waiting
      first?.stop?.()
      if (first !== undefined) dial(origin, first)
      watch(origin)
    }, options.patience)
  }

  const queue = (origin: Origin, waiter: Waiter): void => {
    waiter.stop = () => {
      origin.waiting.delete(waiter)
      if (origin.waiting.size === 0) watch(origin)
    }
    origin.waiting.add(waiter)
    if (origin.timer === undefined) watch(origin)
  }

  return {
    acquire: (url, fresh, waiting) =>
      Effect.suspend(() => {
        const refusal = options.refusal(url.hostname)
        if (refusal !== undefined) return Effect.fail(refusal)
        const idle = fresh ? undefined : takeIdle(originOf(url))
        if (idle !== undefined) return Effect.succeed(idle)
        let given: Connection.Connection | undefined
        const turn = Effect.callback<Connection.Connection, Error>((resume) => {
          const origin = originOf(url)
          const waiter: Waiter = {
            fresh,
            resume: (result) => {
              if (Exit.isSuccess(result)) given = result.value
              resume(result)
            },
            stop: undefined
          }
          if (hasRoom(origin)) begin(origin, waiter)
          else queue(origin, waiter)
          return Effect.sync(() => waiter.stop?.())
        })
        // Also whoever is interrupted just as his turn has come.
        return Effect.onInterrupt(waiting(turn), () =>
          Effect.sync(() => given !== undefined && drop(originOf(url), given)))
      }),
    release: (url, connection, idle) => {
      const origin = originOf(url)
      if (idle <= 0 || !connection.isAlive() || !origin.open.has(connection.destroy)) return drop(origin, connection)
      connection.used()
      const [next] = origin.waiting
      if (next !== undefined) {
        // Whoever wants a fresh one gets it in the place of this one.
        if (next.fresh) return drop(origin, connection)
        next.stop?.()
        watch(origin)
        return next.resume(Exit.succeed(connection))
      }
      const forget = (): void => {
        const at = origin.idle.indexOf(entry)
        if (at >= 0) origin.idle.splice(at, 1)
        taken(entry)
        drop(origin, connection)
      }
      // An idle connection is no reason for a program to go on.
      const entry: Idle = { connection, timer: setTimeout(forget, idle).unref(), forget }
      origin.idle.push(entry)
      kept.add(entry)
      // Whatever comes now, its end or bytes that nobody asked for, is the end of it.
      connection.read(forget)
      const [oldest] = kept
      if (kept.size > options.idle) oldest?.forget()
    },
    close: () => {
      for (const origin of origins.values()) {
        for (const idle of origin.idle) taken(idle)
        for (const waiter of origin.waiting) {
          waiter.stop?.()
          waiter.resume(Exit.fail(closed("the client was closed")))
        }
        for (const close of origin.open) close()
      }
      origins.clear()
    }
  }
}
