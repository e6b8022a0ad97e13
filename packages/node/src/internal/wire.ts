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
export const malformed = (detail: string): WireError => new WireError("HPE_INVALID", `malformed HTTP: ${detail}`)

/** The other side went away. */
export const closed = (detail: string): WireError => new WireError("ECONNRESET", detail)

export const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// What would end a line, and with it begin another header or message.
export const control = /[\u0000-\u0008\u000a-\u001f\u007f]|[^\u0000-\u00ff]/
