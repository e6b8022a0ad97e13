/**
 * A connection that a client has made: one request after the other, each answered before the next is read.
 */
import * as Effect from "effect/Effect"
import type { Socket } from "node:net"
import * as Body from "./body.ts"
import * as Connection from "./connection.ts"
import * as Framing from "./framing.ts"
import * as Head from "./head.ts"
import { WireError } from "./wire.ts"

type Parts = ReadonlyArray<Uint8Array | string>

/** A request, and what its answer is sent by. */
export interface Asked {
  readonly head: Head.Request
  readonly address: string | undefined
  readonly protocol: "http" | "https"
  /** What comes in, where anything does. */
  readonly body: Body.Body | undefined
  /** Sends bytes, and gives them up. */
  readonly send: (parts: Parts) => void
  /** Sends bytes and ends when they may be used again. Nothing comes of it where nobody takes them. */
  readonly write: (parts: Parts) => Effect.Effect<void>
  /** For how many seconds the connection is kept. */
  readonly keepAlive: number
  /** Whether another request may come after this one; to be asked when the head of the answer is made. */
  readonly isKept: () => boolean
  /** Closes the connection behind the answer. */
  readonly close: () => void
  /** Closes it at once, by a reset where it can be. */
  readonly cut: (how: "reset" | "closed") => void
}

export interface Served {
  /** Ends it once what is asked is answered, at once where nothing is. */
  readonly finish: () => void
  readonly destroy: () => void
  /** Looks whether the client has been too slow. */
  readonly tick: (now: number) => void
}

export interface Options {
  readonly room: Connection.Room
  /** In milliseconds: for a head, or anything of an answer to whoever says no more; and for the next head to begin. */
  readonly headTimeout: number
  readonly keepAlive: number
  /** For any byte to pass. */
  readonly timeout: number
  /** Answers; calls `done` when that is over. Gives what stops it. */
  readonly answer: (asked: Asked, done: () => void) => () => void
  readonly ended: (served: Served) => void
}

/** As much of a body that nobody wants is read, to keep the connection. */
const mostDrained = 256 * 1024
/** So long a client may go on to send before it hears that it was refused: a reset would take the answer with it. */
const grace = 500

const carriageReturn = 13
const letterA = 65
const letterZ = 90

const reasons: Readonly<Record<number, string>> = {
  400: "Bad Request",
  408: "Request Timeout",
  417: "Expectation Failed",
  431: "Request Header Fields Too Large"
}

export const make = (accepted: Socket, options: Options): Served => {
  /** Until when something has to have happened; no end while a request is answered. */
  let deadline = performance.now() + options.headTimeout
  let isFinishing = false
  let isAsked = false
  let isBegun = false
  /** Whether all of the request has come. */
  let isWhole = (): boolean => false
  let stop = (): void => {}

  const { connection, socket } = Connection.accept(accepted, options.room, () => {
    // Whose client has gone hears nothing of it.
    stop()
    options.ended(served)
    socket.end()
  }, () => isAsked && isWhole())
  const address = socket.remoteAddress
  socket.setTimeout(options.timeout, () => socket.destroy())

  /** Sends what is left and closes, when the client has had the time to read it. */
  const leave = (): void => {
    deadline = performance.now() + grace
    isAsked = false
    isFinishing = true
    socket.end()
    connection.read(function drop(event) {
      if (event instanceof Uint8Array) connection.read(drop)
    })
  }

  const refuse = (status: number): void => {
    connection.write(
      [`HTTP/1.1 ${status} ${reasons[status]}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`],
      () => {}
    )
    leave()
  }

  const ask = (head: Head.Request, rest: Uint8Array): void => {
    const framing = Framing.ofRequest(head)
    const expected = head.headers["expect"]
    if (expected !== undefined && expected.toLowerCase() !== "100-continue") return refuse(417)
    isAsked = true
    isWhole = framing.isDone
    deadline = Infinity
    let isKept = head.isKept
    let isDone = false
    let isSaid = false
    let unsent = 0
    let left = framing.size ?? 0
    let isOpened = false
    let isAwaited = expected !== undefined && !head.isOld && !framing.isDone()
    let next = framing.isDone() && rest.length > 0 ? rest.slice() : undefined

    let isLast = false
    /**
     * Who says no more may wait for the answer, as `nc -N` does, or be gone: which of them shows only when something is
     * sent, and that has to happen soon.
     */
    const hurry = (): void => {
      if (isLast) deadline = performance.now() + options.headTimeout
    }
    /** Hears whether the client is still there, now that it has said all. */
    const watch = (): void => {
      if (next !== undefined) return
      connection.read((event) => {
        // What the next request begins with.
        if (event instanceof Uint8Array) {
          next = event.slice()
          return
        }
        isLast = true
        isKept = false
        hurry()
      })
    }
    const tracked: Framing.Framing = {
      ...framing,
      next: (bytes, out) => {
        try {
          const taken = framing.next(bytes, out)
          left -= taken
          if (framing.isDone()) connection.shrink()
          return taken
        } catch (error) {
          // Nobody knows where the next request begins.
          isKept = false
          throw error
        }
      }
    }
    const body = framing.isDone() ? undefined : Body.make(connection, tracked, rest, (isClean) => {
      if (isClean) watch()
      else if (framing.isDone()) isKept = false
    })
    const pull: Body.Body["pull"] = Effect.suspend(() => {
      if (isAwaited) connection.write(["HTTP/1.1 100 Continue\r\n\r\n"], () => {})
      isAwaited = false
      isOpened = true
      return body!.pull
    })

    const over = (): void => {
      if (!isDone || unsent > 0) return
      stop = () => {}
      connection.used()
      if (socket.destroyed) return
      if (!isSaid) return connection.destroy()
      if (!isKept || isFinishing || isAwaited) return leave()
      if (!framing.isDone()) return drain(tracked, left, isOpened ? undefined : rest)
      isAsked = false
      // Not from within: there may be thousands in what was sent at once.
      if (next !== undefined) setImmediate(begin, next)
      else begin()
    }
    stop = options.answer({
      head,
      address,
      protocol: "encrypted" in socket ? "https" : "http",
      keepAlive: options.keepAlive / 1000,
      body: body === undefined ? undefined : { ...body, pull },
      send: (parts) => {
        isSaid = true
        unsent++
        connection.write(parts, () => {
          unsent--
          hurry()
          over()
        })
      },
      write: (parts) =>
        Effect.callback<void>((resume) => {
          isSaid = true
          connection.write(parts, (error) => {
            hurry()
            if (!error) resume(Effect.void)
          })
        }),
      isKept: () => isKept &&= !isFinishing && !isAwaited && left <= mostDrained,
      close: () => {
        isKept = false
      },
      cut: (how) => {
        // There is no such thing as a reset of what is below TLS.
        if (how === "closed" || "encrypted" in socket) socket.destroy()
        else socket.resetAndDestroy()
      }
    }, () => {
      isDone = true
      over()
    })
    if (body === undefined && !isDone) watch()
  }

  /** Reads what nobody wanted of a body, beginning with what came along with its head. */
  const drain = (framing: Framing.Framing, size: number, first: Uint8Array | undefined): void => {
    if (size > mostDrained) return leave()
    deadline = performance.now() + options.headTimeout
    let room = mostDrained
    const tell = (event: Connection.Event): void => {
      if (!(event instanceof Uint8Array)) return connection.destroy()
      try {
        const taken = framing.next(event, [])
        room -= taken
        if (!framing.isDone()) return room > 0 ? connection.read(tell) : leave()
        isAsked = false
        setImmediate(begin, event.slice(taken))
      } catch {
        leave()
      }
    }
    if (first === undefined) connection.read(tell)
    else tell(first)
  }

  const begin = (rest?: Uint8Array): void => {
    if (isFinishing || socket.destroyed) return leave()
    const collect = Head.requestCollector()
    isBegun = false
    deadline = performance.now() + options.keepAlive
    const feed = (event: Connection.Event): void => {
      if (!(event instanceof Uint8Array)) return connection.destroy()
      if (!isBegun) {
        const first = event[0]
        if (first === undefined) return connection.read(feed)
        // Who speaks of something else, as of TLS, hears so at once and tries again in clear.
        if (first !== carriageReturn && (first < letterA || first > letterZ)) return refuse(400)
        isBegun = true
        deadline = performance.now() + options.headTimeout
      }
      try {
        const found = collect(event)
        if (found === undefined) connection.read(feed)
        else ask(found.head, found.rest)
      } catch (error) {
        refuse(error instanceof WireError && error.code === "HPE_HEADER_OVERFLOW" ? 431 : 400)
      }
    }
    if (rest === undefined) connection.read(feed)
    else feed(rest)
  }

  const served: Served = {
    finish: () => {
      isFinishing = true
      if (!isAsked) connection.destroy()
    },
    destroy: connection.destroy,
    tick: (now) => {
      // What is on its way may take as long as any byte may.
      if (now < deadline || isAsked && socket.writableLength > 0) return
      if (isBegun && !isFinishing && !isAsked) refuse(408)
      else connection.destroy()
    }
  }
  begin()
  deadline = performance.now() + options.headTimeout
  return served
}
