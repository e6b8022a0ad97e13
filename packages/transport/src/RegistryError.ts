/**
 * Why a request to a registry failed.
 *
 * @since 1.0.0
 */
import * as Duration from "effect/Duration"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Address from "./Address.ts"
import { Challenge } from "./Challenge.ts"

/**
 * One entry of the distribution specification's error body: the registry's own code and words.
 *
 * @category models
 * @since 1.0.0
 */
export const Diagnostic = Schema.Struct({
  code: Schema.String,
  message: Schema.String,
  detail: Schema.Unknown
})

/**
 * One entry of the distribution specification's error body.
 *
 * @category models
 * @since 1.0.0
 */
export type Diagnostic = typeof Diagnostic.Type

const response = {
  /**
   * The HTTP status.
   */
  status: Schema.Natural,
  /**
   * What the registry said, empty when its body was not an error document.
   */
  diagnostics: Schema.Array(Diagnostic)
}

/**
 * 401, or 403 where a token allows too little: the registry wants to know who is asking. `challenges` say how to tell it.
 *
 * @category reasons
 * @since 1.0.0
 */
export class Unauthorized extends Schema.Error<Unauthorized>("@effect-oci/transport/RegistryError/Unauthorized")({
  _tag: Schema.tag("Unauthorized"),
  ...response,
  challenges: Schema.Array(Challenge),
  /**
   * Whether credentials, or a token got with them, went along.
   */
  identified: Schema.Boolean,
  /**
   * The token server that was not given the credentials there are: nobody said that it belongs to the registry.
   */
  withheld: Schema.optionalKey(Schema.String)
}) {}

/**
 * 403, or 401 to a token that was asked for exactly this: whoever is asking may not do it.
 *
 * @category reasons
 * @since 1.0.0
 */
export class Denied extends Schema.Error<Denied>("@effect-oci/transport/RegistryError/Denied")({
  _tag: Schema.tag("Denied"),
  ...response
}) {}

/**
 * 404: no such repository, manifest, tag, blob or upload session.
 *
 * @category reasons
 * @since 1.0.0
 */
export class NotFound extends Schema.Error<NotFound>("@effect-oci/transport/RegistryError/NotFound")({
  _tag: Schema.tag("NotFound"),
  ...response
}) {}

/**
 * 429: too many requests. `retryAfter` is what the registry asked for.
 *
 * @category reasons
 * @since 1.0.0
 */
export class RateLimited extends Schema.Error<RateLimited>("@effect-oci/transport/RegistryError/RateLimited")({
  _tag: Schema.tag("RateLimited"),
  ...response,
  retryAfter: Schema.UndefinedOr(Schema.Duration)
}) {}

/**
 * 408, 500, 502, 503, 504 and the like: the registry failed, and may not the next time.
 *
 * @category reasons
 * @since 1.0.0
 */
export class Unavailable extends Schema.Error<Unavailable>("@effect-oci/transport/RegistryError/Unavailable")({
  _tag: Schema.tag("Unavailable"),
  ...response,
  retryAfter: Schema.UndefinedOr(Schema.Duration)
}) {}

/**
 * 405, 501, or 400 with the code `UNSUPPORTED`: this registry does not do what was asked, for anybody.
 *
 * @category reasons
 * @since 1.0.0
 */
export class Unsupported extends Schema.Error<Unsupported>("@effect-oci/transport/RegistryError/Unsupported")({
  _tag: Schema.tag("Unsupported"),
  ...response
}) {}

/**
 * Any other status of 400 and above: the request as it is will never do.
 *
 * @category reasons
 * @since 1.0.0
 */
export class Rejected extends Schema.Error<Rejected>("@effect-oci/transport/RegistryError/Rejected")({
  _tag: Schema.tag("Rejected"),
  ...response
}) {}

/**
 * No reply came: the connection was refused, reset, cut, or timed out.
 *
 * @category reasons
 * @since 1.0.0
 */
export class Unreachable extends Schema.Error<Unreachable>("@effect-oci/transport/RegistryError/Unreachable")({
  _tag: Schema.tag("Unreachable"),
  detail: Schema.String,
  /**
   * The platform's code, such as `ECONNREFUSED`, where there is one.
   */
  code: Schema.UndefinedOr(Schema.String),
  /**
   * False for what time does not mend: an unknown host, a certificate that is not trusted.
   */
  transient: Schema.Boolean
}) {}

/**
 * The registry has no such upload session any more, or has other bytes in it than were sent: the session's state has to be
 * asked for, and where there is none the upload begun anew.
 *
 * @category reasons
 * @since 1.0.0
 */
export class SessionLost extends Schema.Error<SessionLost>("@effect-oci/transport/RegistryError/SessionLost")({
  _tag: Schema.tag("SessionLost"),
  ...response
}) {}

/**
 * The reply breaks the protocol, or would lead where this client does not go.
 *
 * @category reasons
 * @since 1.0.0
 */
export class ProtocolViolation
  extends Schema.Error<ProtocolViolation>("@effect-oci/transport/RegistryError/ProtocolViolation")({
    _tag: Schema.tag("ProtocolViolation"),
    detail: Schema.String
  })
{}

/**
 * A reply led to an address that only means something in the client's own network, for a host that nobody named: see
 * `Address`.
 *
 * @category reasons
 * @since 1.0.0
 */
export class InternalAddress
  extends Schema.Error<InternalAddress>("@effect-oci/transport/RegistryError/InternalAddress")({
    _tag: Schema.tag("InternalAddress"),
    host: Schema.String,
    address: Schema.String
  })
{
  /**
   * @since 1.0.0
   */
  get detail(): string {
    return Address.describe(this.host, this.address)
  }
}

/**
 * Nobody is asked: a setting of this machine forbids it.
 *
 * @category reasons
 * @since 1.0.0
 */
export class Blocked extends Schema.Error<Blocked>("@effect-oci/transport/RegistryError/Blocked")({
  _tag: Schema.tag("Blocked"),
  detail: Schema.String
}) {}

/**
 * Bytes are not what their digest, size or type says.
 *
 * @category reasons
 * @since 1.0.0
 */
export class ContentMismatch
  extends Schema.Error<ContentMismatch>("@effect-oci/transport/RegistryError/ContentMismatch")({
    _tag: Schema.tag("ContentMismatch"),
    detail: Schema.String
  })
{}

/**
 * The credentials for the registry could not be found out.
 *
 * @category reasons
 * @since 1.0.0
 */
export class NoCredentials extends Schema.Error<NoCredentials>("@effect-oci/transport/RegistryError/NoCredentials")({
  _tag: Schema.tag("NoCredentials"),
  detail: Schema.String
}) {}

/**
 * The token server that the registry names gives no token, and not because of who asks. Its status is no answer of the
 * registry's: whether there is what was asked for, nobody has said.
 *
 * @category reasons
 * @since 1.0.0
 */
export class NoToken extends Schema.Error<NoToken>("@effect-oci/transport/RegistryError/NoToken")({
  _tag: Schema.tag("NoToken"),
  answer: Schema.Struct(response)
}) {}

/**
 * The reasons of a `RegistryError`.
 *
 * @category reasons
 * @since 1.0.0
 */
export const Reason = Schema.Union([
  Unauthorized,
  Denied,
  NotFound,
  RateLimited,
  Unavailable,
  Unsupported,
  Rejected,
  SessionLost,
  Unreachable,
  ProtocolViolation,
  InternalAddress,
  Blocked,
  ContentMismatch,
  NoCredentials,
  NoToken
])

/**
 * The reasons of a `RegistryError`.
 *
 * @category reasons
 * @since 1.0.0
 */
export type Reason = typeof Reason.Type

const TypeId = "~@effect-oci/transport/RegistryError"

/**
 * A request to a registry that failed: which one, and why.
 *
 * @category errors
 * @since 1.0.0
 */
export class RegistryError extends Schema.Error<RegistryError>("@effect-oci/transport/RegistryError")({
  _tag: Schema.tag("RegistryError"),
  method: Schema.String,
  /**
   * Without secrets: see `Redact.url`.
   */
  url: Schema.String,
  reason: Reason,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  readonly [TypeId] = TypeId

  /**
   * The HTTP status, where there was a reply to the request that was made.
   *
   * @since 1.0.0
   */
  get status(): number | undefined {
    return "status" in this.reason ? this.reason.status : undefined
  }

  /**
   * Whether the same request may succeed later.
   *
   * @since 1.0.0
   */
  get isRetryable(): boolean {
    switch (this.reason._tag) {
      case "RateLimited":
      case "Unavailable":
      case "SessionLost":
        return true
      case "Unreachable":
        return this.reason.transient
      default:
        return false
    }
  }

  /**
   * How long the registry asked to be left alone.
   *
   * @since 1.0.0
   */
  get retryAfter(): Duration.Duration | undefined {
    return "retryAfter" in this.reason ? this.reason.retryAfter : undefined
  }

  /**
   * What the user can do next, where that is known.
   *
   * @since 1.0.0
   */
  get hint(): string | undefined {
    switch (this.reason._tag) {
      case "Unauthorized":
        return this.reason.identified
          ? "The credentials were refused; log in again."
          : this.reason.withheld !== undefined
          ? `The credentials were not sent. If ${this.reason.withheld} is the registry's token server, ` +
            "pair them (EFFECT_OCI_TOKEN_SERVERS)."
          : "No credentials were sent: none are known for this registry. Log in first (effect-oci auth login)."
      case "Denied":
        if (this.status === 401) return "Whoever asks is known there, and may not do this."
        break
      case "Unsupported":
        return this.method === "DELETE"
          ? "This registry does not delete here; its own console or API may, or a setting of its."
          : "This registry does not support it, for anybody."
      case "Unreachable":
        return this.reason.code === "ENOTFOUND"
          ? "Check the name of the registry."
          : this.reason.code === "ECONNREFUSED"
          ? "Nothing listens there. Check the port, and that the registry runs."
          : this.reason.code !== undefined && noTls.has(this.reason.code)
          ? "It does not speak TLS. If it is to be spoken to by plain http, name it (EFFECT_OCI_PLAIN_HTTP)."
          : this.reason.code !== undefined && nobodyVouches.test(this.reason.code)
          ? "Say whom to believe (ca.crt in its folder of certs.d)."
          : this.reason.code === "ECONNRESET" && plainPing.test(this.url)
          ? "It was spoken to by plain http. If it speaks TLS, say whom to believe (ca.crt in its folder of certs.d)."
          : undefined
      case "NoToken":
        return "The registry names this address for tokens. Check the realm in its settings, and that its token server " +
          "runs there."
      case "InternalAddress":
        return `The registry led there. If ${this.reason.host} is yours, name it (EFFECT_OCI_INTERNAL).`
    }
    return this.method === "HEAD" && this.status !== undefined && this.status !== 404
      ? "A HEAD answer has no body; GET says why."
      : undefined
  }

  override get message(): string {
    const wait = this.retryAfter === undefined ? "" : `, asks to wait ${Duration.format(this.retryAfter)}`
    return `${this.method} ${this.url}: ${describe(this.reason)}${wait}`
  }
}

/** What Node says of an answer that is none of TLS. */
const noTls = new Set(["EPROTO", "ERR_SSL_WRONG_VERSION_NUMBER", "ERR_SSL_PACKET_LENGTH_TOO_LONG"])

/** What Node says of a certificate that nobody who is believed has signed. */
const nobodyVouches = /SELF_SIGNED_CERT|^UNABLE_TO_(?:GET_ISSUER_CERT|VERIFY_LEAF_SIGNATURE)/

/** The first request to a host of this machine, which a server that speaks TLS closes without a word. */
const plainPing = /^http:\/\/[^/]+\/v2\/$/

const describe = (reason: Reason): string =>
  reason._tag === "NoToken"
    ? `the token server answers ${reason.answer.status}${words(reason.answer.diagnostics)}`
    : "status" in reason
    ? `${reason.status}${words(reason.diagnostics) || phrase(reason)}`
    : reason.detail

const words = (diagnostics: ReadonlyArray<Diagnostic>): string => {
  if (diagnostics.length === 0) return ""
  const said = diagnostics.map(({ code, message }) => message === "" ? code : `${code}: ${message}`).join("; ")
  return ` ${said.length > mostWords ? `${said.slice(0, mostWords)}…` : said}`
}

/** No registry has more to say that is worth a line on a terminal or in a log; all of it is in the diagnostics. */
const mostWords = 1000

const phrase = (reason: Extract<Reason, { readonly status: number }>): string => {
  switch (reason._tag) {
    case "Unauthorized":
      return " authentication required"
    case "Denied":
      return " access denied"
    case "NotFound":
      return " not found"
    case "RateLimited":
      return " too many requests"
    case "Unavailable":
      return " registry unavailable"
    case "Unsupported":
      return " not supported by this registry"
    case "Rejected":
      return " refused"
    case "SessionLost":
      return " upload session lost"
  }
}

/**
 * Returns `true` when a value is a `RegistryError`.
 *
 * @category guards
 * @since 1.0.0
 */
export const isRegistryError = (u: unknown): u is RegistryError => hasProperty(u, TypeId)
