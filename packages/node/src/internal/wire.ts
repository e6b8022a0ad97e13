/**
 * What went wrong on a connection, with codes as Node's own have them.
 */

/** A failure with a code by which the transport tells what may be tried again. */
export class WireError extends Error {
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** Bytes that are not HTTP/1.1. The code begins as those of Node's parser do: trying again does not help. */
export const malformed = (detail: string): WireError => new WireError("HPE_INVALID", `malformed reply: ${detail}`)

/** The other side went away. */
export const closed = (detail: string): WireError => new WireError("ECONNRESET", detail)
