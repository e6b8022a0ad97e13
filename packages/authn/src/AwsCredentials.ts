/**
 * Who this machine is to AWS, found out without AWS' programs and libraries.
 *
 * The sources and their order are those of https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html,
 * without the ones that need a browser or a program.
 *
 * @since 1.0.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import { AuthnError } from "./AuthnError.ts"
import * as FileKeychain from "./FileKeychain.ts"
import * as Endpoint from "./internal/endpoint.ts"
import * as Env from "./internal/env.ts"
import * as Json from "./internal/json.ts"

/**
 * Keys that sign requests to AWS.
 *
 * @category models
 * @since 1.0.0
 */
export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: Redacted.Redacted
  readonly sessionToken: Redacted.Redacted | undefined
}

type Found = AwsCredentials | undefined
type Source = Effect.Effect<Found, AuthnError>

const source = "AWS"
const imds = "http://169.254.169.254/latest"
const ecs = "http://169.254.170.2"

const credentials = (id: string, secret: string, session: string | undefined): AwsCredentials => ({
  accessKeyId: id,
  secretAccessKey: Redacted.make(secret, { label: "secret access key" }),
  sessionToken: session === undefined ? undefined : Redacted.make(session, { label: "session token" })
})

const refused = (detail: string) => new AuthnError({ source, reason: "Refused", detail })

/** The keys in an endpoint's answer. */
const fromBody = (body: unknown): Source => {
  if (!Json.isObject(body)) return Effect.fail(refused("its answer is not a JSON object"))
  const id = Endpoint.text(body, "AccessKeyId")
  const secret = Endpoint.text(body, "SecretAccessKey")
  return id === undefined || secret === undefined
    ? Effect.fail(refused("its answer holds no keys"))
    : Effect.succeed(credentials(id, secret, Endpoint.text(body, "Token", "SessionToken")))
}

/** What the sources look at. */
interface Place {
  readonly env: Effect.Success<typeof environment>
  readonly http: HttpClient.HttpClient
  readonly path: Path.Path
  readonly read: (file: string) => Effect.Effect<string | undefined, AuthnError>
}

const environment = Effect.all({
  id: Env.variable("AWS_ACCESS_KEY_ID"),
  secret: Env.secret("AWS_SECRET_ACCESS_KEY"),
  session: Env.secret("AWS_SESSION_TOKEN"),
  webIdentityFile: Env.variable("AWS_WEB_IDENTITY_TOKEN_FILE"),
  role: Env.variable("AWS_ROLE_ARN"),
  roleSession: Env.variable("AWS_ROLE_SESSION_NAME"),
  region: Env.variable("AWS_REGION"),
  home: Env.home,
  sharedFile: Env.variable("AWS_SHARED_CREDENTIALS_FILE"),
  profile: Env.variable("AWS_PROFILE"),
  containerPath: Env.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
  containerUrl: Env.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
  containerToken: Env.secret("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
  containerTokenFile: Env.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
  noMachine: Env.variable("AWS_EC2_METADATA_DISABLED")
})

const fromEnvironment = ({ env: { id, secret, session } }: Place): Source =>
  Effect.succeed(
    id === undefined || secret === undefined
      ? undefined
      : { accessKeyId: id, secretAccessKey: secret, sessionToken: session }
  )

/** A token of a pod's, exchanged for keys of the role that it stands for. */
const fromWebIdentity = Effect.fnUntraced(function*(
  { env: { region = "", role, roleSession = "effect-oci", webIdentityFile: file }, http, read }: Place
): Effect.fn.Return<Found, AuthnError> {
  if (file === undefined || role === undefined) return undefined
  const token = yield* read(file)
  if (token === undefined) {
    return yield* new AuthnError({ source: file, reason: "Unreadable", detail: "there is no such file" })
  }
  const endpoint = /^[a-z]{2,4}(?:-[a-z]+)+-\d{1,2}$/.test(region)
    ? `https://sts.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}/`
    : "https://sts.amazonaws.com/"
  const request = HttpClientRequest.bodyUrlParams(HttpClientRequest.post(endpoint), {
    Action: "AssumeRoleWithWebIdentity",
    Version: "2011-06-15",
    RoleArn: role,
    RoleSessionName: roleSession,
    WebIdentityToken: token.trim()
  })
  const body: unknown = yield* Endpoint.json(http, request, { source })
  return yield* fromBody(
    ["AssumeRoleWithWebIdentityResponse", "AssumeRoleWithWebIdentityResult", "Credentials"].reduce(
      (value, key) => Json.isObject(value) ? value[key] : undefined,
      body
    )
  )
})

/** The keys of a profile that has some, in the file that AWS' programs share. */
const fromSharedFile = Effect.fnUntraced(function*(
  { env: { home, profile = "default", sharedFile }, path, read }: Place
): Effect.fn.Return<Found, AuthnError> {
  const file = sharedFile ?? (home === undefined ? undefined : path.join(home, ".aws", "credentials"))
  const text = file === undefined ? undefined : yield* read(file)
  const values = new Map<string, string>()
  let section: string | undefined
  for (const line of text?.split(/\r?\n/) ?? []) {
    section = /^\s*\[([^\]]+)\]/.exec(line)?.[1]?.trim() ?? section
    const equals = line.indexOf("=")
    if (section === profile && equals > 0) values.set(line.slice(0, equals).trim(), line.slice(equals + 1).trim())
  }
  const id = values.get("aws_access_key_id")
  const secret = values.get("aws_secret_access_key")
  return id === undefined || secret === undefined
    ? undefined
    : credentials(id, secret, values.get("aws_session_token"))
})

/** Where a container may be told to ask by plain http: the hosts that AWS documents, and its own machine. */
const containerHosts = /^(?:169\.254\.170\.2|169\.254\.170\.23|\[fd00:ec2::23\]|127\.0\.0\.1|localhost|\[::1\])$/

const fromContainer = Effect.fnUntraced(function*(
  { env, http, read }: Place
): Effect.fn.Return<Found, AuthnError> {
  const text = env.containerPath === undefined ? env.containerUrl : ecs + env.containerPath
  if (text === undefined) return undefined
  const url = URL.parse(text)
  if (url === null || url.protocol !== "http:" || !containerHosts.test(url.hostname)) {
    return yield* new AuthnError({
      source: "AWS_CONTAINER_CREDENTIALS_FULL_URI",
      reason: "Malformed",
      detail: "it is no address at which AWS gives credentials to containers"
    })
  }
  const token = env.containerTokenFile === undefined ? undefined : yield* read(env.containerTokenFile)
  const secret = token?.trim() ?? (env.containerToken === undefined ? undefined : Redacted.value(env.containerToken))
  const headers = secret === undefined ? {} : { authorization: secret }
  return yield* fromBody(yield* Endpoint.json(http, HttpClientRequest.get(url, { headers }), { source }))
})

/** The role of the machine; nobody where there is no such machine, or it has none. */
const fromMachine = ({ env: { noMachine }, http }: Place): Source =>
  Effect.gen(function*() {
    if (noMachine?.toLowerCase() === "true") return undefined
    const options = { source, timeout: "2 seconds" } as const
    const session = yield* Endpoint.send(
      http,
      HttpClientRequest.put(`${imds}/api/token`, { headers: { "x-aws-ec2-metadata-token-ttl-seconds": "60" } }),
      options
    )
    if (session.status !== 200 || !/^[\x21-\x7e]{1,512}$/.test(session.text)) return undefined
    const headers = { "x-aws-ec2-metadata-token": session.text }
    const roles = `${imds}/meta-data/iam/security-credentials/`
    const role = yield* Endpoint.send(http, HttpClientRequest.get(roles, { headers }), options)
    const name = role.text.trim()
    if (role.status !== 200 || !/^[\w+=,.@-]{1,128}$/.test(name)) return undefined
    return yield* fromBody(yield* Endpoint.json(http, HttpClientRequest.get(roles + name, { headers }), options))
  }).pipe(Effect.catchIf((error) => error.reason === "Unreachable", () => Effect.undefined))

const sources = [fromEnvironment, fromWebIdentity, fromSharedFile, fromContainer, fromMachine]

/**
 * How to find out who this machine is, `undefined` if it is nobody: by `AWS_ACCESS_KEY_ID` and its like, a pod's token
 * (`AWS_WEB_IDENTITY_TOKEN_FILE`), the shared credentials file, a container's endpoint, the machine's role (IMDS version 2,
 * unless `AWS_EC2_METADATA_DISABLED`).
 *
 * @category constructors
 * @since 1.0.0
 */
export const make: Effect.Effect<
  Effect.Effect<AwsCredentials | undefined, AuthnError>,
  Config.ConfigError,
  HttpClient.HttpClient | FileSystem.FileSystem | Path.Path
> = Effect.map(
  Effect.gen(function*(): Effect.fn.Return<
    Place,
    Config.ConfigError,
    HttpClient.HttpClient | FileSystem.FileSystem | Path.Path
  > {
    const context = yield* Effect.context<FileSystem.FileSystem>()
    return {
      env: yield* environment,
      http: yield* HttpClient.HttpClient,
      path: yield* Path.Path,
      read: (file) =>
        Effect.map(
          Effect.provideContext(FileKeychain.read(file), context),
          (bytes) => bytes === undefined ? undefined : new TextDecoder().decode(bytes)
        )
    }
  }),
  Effect.fnUntraced(function*(place): Effect.fn.Return<Found, AuthnError> {
    for (const from of sources) {
      const found = yield* from(place)
      if (found !== undefined) return found
    }
    return undefined
  })
)
