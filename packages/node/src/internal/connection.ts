/**
 * A socket that reads into one buffer of its own, again and again, and only when asked to: what it gives is valid until the
 * next read. New memory for each read is most of what a download by the usual road costs.
 */
import * as net from "node:net"
import * as tls from "node:tls"
import { closed, WireError } from "./wire.ts"

/** Bytes, the end, or a failure. */
export type Event = Uint8Array | undefined | Error

export interface Connection {
  /** Whether it has carried no request yet. */
  readonly isFresh: () => boolean
  readonly isAlive: () => boolean
  /** Tells of what comes next, once. May be called again while it tells: then what it gave is no longer needed. */
  readonly read: (tell: (event: Event) => void) => void
  /** Nobody waits for what comes next. */
  readonly unread: () => void
  /** Writes; the bytes may be reused once `done` was called. Failures are told to whoever reads as well. */
  readonly write: (parts: ReadonlyArray<Uint8Array | string>, done: (error?: Error | null) => void) => void
  readonly used: () => void
  /** Reads into a small buffer again, from the next read but one on at the latest. */
  readonly shrink: () => void
  readonly destroy: () => void
  /** Closes it and has the kernel forget what it has not sent, where it can: whoever refused the rest is not sent it. */
  readonly abort: () => void
}

/** Most replies are small. */
const firstSize = 16 * 1024

/** How much more than their first buffers connections may have, all together. */
export interface Room {
  free: number
  /** What any may have, however little is free. */
  readonly usual: number
  /** What one may have while there is so much free: the fewer the pieces of a blob, the less it costs. */
  readonly largest: number
}

/** What a socket is made to read with. */
export interface Reading {
  readonly buffer: () => Uint8Array
  /** Whether to go on. */
  readonly callback: (length: number, bytes: Uint8Array) => boolean
}

/** Makes a connection of a socket that `make` makes; tells `ended` of its end, or of what ended it. */
const over = (
  make: (reading: Reading) => net.Socket,
  room: Room,
  /** TLS goes on with the records that it has, wanted or not: they must not stand where a chunk is lent, and are kept. */
  isTls: boolean,
  ended: (error: Error | undefined) => void,
  /** Of a connection that may be written to when nothing more comes: whether that is so, once somebody reads of the end. */
  isHeard?: () => boolean
): { readonly socket: net.Socket; readonly connection: Connection } => {
  // No `Buffer`: its `slice` does not copy, which is what whoever keeps a chunk means by it.
  let buffer: Uint8Array = new Uint8Array(firstSize)
  let other = buffer
  const kept: Array<Uint8Array> = []
  let reader: ((event: Event) => void) | undefined
  /** Of what comes in. */
  let end: { readonly error: Error | undefined } | undefined
  let isEnding = false
  let isOver = false
  let isFresh = true

  const tellReader = (event: Event): void => {
    const tell = reader
    reader = undefined
    tell?.(event)
  }
  // The one before stays whoever's it was lent to.
  const resize = (size: number): void => {
    room.free -= size - buffer.length
    buffer = new Uint8Array(size)
  }
  const shrink = (): void => {
    if (buffer.length > firstSize) resize(firstSize)
  }
  const endInput = (error: Error | undefined): void => {
    if (end !== undefined) return
    end = { error }
    shrink()
    tellReader(error)
  }
  const finish = (error: Error | undefined): void => {
    if (isOver) return
    isOver = true
    ended(error)
    endInput(error)
  }
  const inputEnds = (): void => isHeard?.() === true ? endInput(undefined) : finish(undefined)

  const socket = make({
    buffer: () => buffer,
    callback: (length, bytes) => {
      if (reader === undefined) {
        if (isTls) kept.push(bytes.slice(0, length))
        // Bytes that nobody asked for stand where the next message will be looked for.
        else socket.destroy(closed("bytes came that belong to nothing"))
        return false
      }
      // What was full was too small.
      if (bytes === buffer && length === bytes.length) {
        const wanted = Math.min(4 * length, room.largest)
        const size = wanted - length <= room.free ? wanted : Math.min(wanted, room.usual)
        if (size > length) resize(size)
      }
      tellReader(bytes.subarray(0, length))
      if (isTls && reader === undefined && bytes === buffer) {
        buffer = other.length === bytes.length && other !== bytes ? other : new Uint8Array(bytes.length)
        other = bytes
      }
      return reader !== undefined
    }
  })
  // Not from the start: before TLS has begun there is nobody to hear anything.
  socket.allowHalfOpen = isHeard !== undefined
  socket.on("error", finish)
  socket.on("end", () => {
    isEnding = true
    if (isHeard === undefined || reader !== undefined) inputEnds()
  })
  socket.on("close", () => finish(closed("the connection was closed")))

  return {
    socket,
    connection: {
      isFresh: () => isFresh,
      isAlive: () => end === undefined && !socket.destroyed && kept.length === 0,
      read: (next) => {
        const first = kept.shift()
        if (first !== undefined) return next(first)
        if (end !== undefined) return next(end.error)
        reader = next
        if (isEnding) inputEnds()
        else socket.resume()
      },
      unread: () => {
        reader = undefined
      },
      write: (parts, done) => {
        if (isOver || socket.destroyed) return done(closed("the connection was closed"))
        if (parts.length === 1) {
          return void socket.write(parts[0]!, typeof parts[0] === "string" ? "latin1" : undefined, done)
        }
        socket.cork()
        for (let i = 0; i < parts.length; i++) {
          const part = parts[i]!
          socket.write(part, typeof part === "string" ? "latin1" : undefined, i === parts.length - 1 ? done : undefined)
        }
        socket.uncork()
      },
      used: () => {
        isFresh = false
      },
      shrink,
      destroy: () => {
        reader = undefined
        socket.destroy()
      },
      abort: () => {
        reader = undefined
        if (socket instanceof tls.TLSSocket) socket.destroy()
        else socket.resetAndDestroy()
      }
    }
  }
}

export interface Options {
  /** In milliseconds. */
  readonly connectTimeout: number
  readonly lookup: net.LookupFunction
  readonly room: Room
  /** Of a host and port, as a URL has them. */
  readonly tls: (host: string) => tls.ConnectionOptions
}

/** Connects, and tells when it is connected. Gives what stops it. */
export const open = (
  url: URL,
  options: Options,
  tell: (connected: Connection | Error) => void
): () => void => {
  let isSettled = false
  let timer: NodeJS.Timeout | undefined
  const settle = (connected: Connection | Error): void => {
    if (isSettled) return
    isSettled = true
    clearTimeout(timer)
    tell(connected)
  }
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port)
  // An address of IPv6 has brackets in a URL, and nowhere else.
  const host = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname
  const connect = () =>
    over(
      (onread) => {
        const to = {
          host,
          port,
          lookup: options.lookup,
          noDelay: true,
          keepAlive: true,
          keepAliveInitialDelay: 60_000,
          onread
        }
        return url.protocol === "https:"
          ? tls.connect({
            ALPNProtocols: ["http/1.1"],
            ...(net.isIP(host) === 0 ? { servername: host } : {}),
            ...options.tls(url.host),
            ...to
          })
          : net.connect(to)
      },
      options.room,
      url.protocol === "https:",
      (error) => settle(error ?? closed("the connection was closed before it was made"))
    )
  try {
    const { connection, socket } = connect()
    timer = setTimeout(
      () => socket.destroy(new WireError("ETIMEDOUT", `no connection to ${url.host} in ${options.connectTimeout} ms`)),
      options.connectTimeout
    )
    socket.once(url.protocol === "https:" ? "secureConnect" : "connect", () => settle(connection))
    return () => {
      isSettled = true
      clearTimeout(timer)
      socket.destroy()
    }
  } catch (error) {
    // A certificate of one's own that cannot be used is thrown; told later, as all else that stops a connection is.
    queueMicrotask(() => settle(error as Error))
    return () => {
      isSettled = true
    }
  }
}

/**
 * Takes over a socket that a server has accepted and that has not been read from. One in clear is read as those are that this
 * side has opened; one of TLS, or of another engine than Node's, gives new memory for each read.
 */
export const accept = (
  accepted: net.Socket,
  room: Room,
  ended: (error: Error | undefined) => void,
  isHeard: () => boolean
): { readonly socket: net.Socket; readonly connection: Connection } => {
  // There is no option of a server for how its sockets read, so that one is made anew of what it has of the system.
  const inner = accepted as { _handle?: { readonly useUserBuffer?: unknown } | null }
  const handle = inner._handle
  if (accepted instanceof tls.TLSSocket || typeof handle?.useUserBuffer !== "function") {
    return over(
      ({ callback }) =>
        accepted.on("data", (bytes: Buffer) => {
          if (!callback(bytes.length, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length))) accepted.pause()
        }).pause(),
      room,
      false,
      ended,
      isHeard
    )
  }
  inner._handle = null
  const made = over(
    (onread) => new net.Socket({ handle, onread, readable: true, writable: true } as net.SocketConstructorOpts),
    room,
    false,
    ended,
    isHeard
  )
  // By the first one the server counts.
  made.socket.once("close", () => accepted.destroy())
  return made
}
