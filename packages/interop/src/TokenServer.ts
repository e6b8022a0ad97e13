/**
 * A token server on loopback, as https://distribution.github.io/distribution/spec/auth/token/ describes it, for
 * docker-registry.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { createPrivateKey, randomUUID, sign, X509Certificate } from "node:crypto"
import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import * as Peer from "./Peer.ts"

/**
 * What somebody may do: which repositories, by the beginning of their paths.
 */
export interface User {
  readonly password: string
  readonly folder: string
}

/**
 * A running token server.
 */
export interface TokenServer {
  /**
   * What a registry is told about it.
   */
  readonly auth: {
    readonly realm: string
    readonly service: string
    readonly issuer: string
    readonly rootcertbundle: string
  }
  /**
   * Who was given which scopes, in order.
   */
  readonly given: ReadonlyArray<string>
}

const issuer = "interop"
const service = "interop registry"
const base64 = (value: string | Buffer) => Buffer.from(value).toString("base64url")

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  let body = ""
  for await (const chunk of request) body += chunk
  return body
}

interface Asked {
  readonly username: string
  readonly password: string
  readonly scopes: ReadonlyArray<string>
}

/** Who asks, and for what: by Basic credentials, or by a grant of OAuth 2. An identity token is `user:password` in base64. */
const askedBy = async (request: IncomingMessage): Promise<Asked> => {
  const url = new URL(request.url ?? "/", "http://x")
  if (request.method === "POST") {
    const form = new URLSearchParams(await bodyOf(request))
    const pair = form.get("grant_type") === "refresh_token"
      ? Buffer.from(form.get("refresh_token") ?? "", "base64").toString()
      : `${form.get("username")}:${form.get("password")}`
    const [username = "", password = ""] = pair.split(":")
    return { username, password, scopes: (form.get("scope") ?? "").split(" ") }
  }
  const [, encoded = ""] = /^Basic (.*)$/.exec(request.headers.authorization ?? "") ?? []
  const [username = "", password = ""] = Buffer.from(encoded, "base64").toString().split(":")
  return { username, password, scopes: url.searchParams.getAll("scope").flatMap((scope) => scope.split(" ")) }
}

/**
 * Starts a token server that knows these users; it stops when the scope is closed.
 */
export const make = Effect.fnUntraced(function*(users: Record<string, User>) {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped({ prefix: "token-server-" })
  const files = ["-keyout", `${folder}/key.pem`, "-out", `${folder}/cert.pem`]
  yield* Peer.exec("openssl", [
    ..."req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=interop".split(" "),
    ...files
  ])
  const key = createPrivateKey(yield* fs.readFileString(`${folder}/key.pem`))
  const certificate = new X509Certificate(yield* fs.readFileString(`${folder}/cert.pem`))
  const given: Array<string> = []

  const tokenFor = (username: string, { folder }: User, scopes: ReadonlyArray<string>) => {
    const access = scopes.flatMap((scope) => {
      const [type = "", name = "", actions = ""] = scope.split(":")
      return type === "repository" && name.startsWith(folder) ? [{ type, name, actions: actions.split(",") }] : []
    })
    const now = Math.floor(Date.now() / 1000)
    const header = { typ: "JWT", alg: "RS256", x5c: [certificate.raw.toString("base64")] }
    const claims = {
      iss: issuer,
      sub: username,
      aud: service,
      exp: now + 300,
      nbf: now - 10,
      iat: now,
      jti: randomUUID(),
      access
    }
    const body = `${base64(JSON.stringify(header))}.${base64(JSON.stringify(claims))}`
    return `${body}.${base64(sign("RSA-SHA256", Buffer.from(body), key))}`
  }

  const server = yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const server = createServer((request, response) => {
        void askedBy(request).then(({ password, scopes, username }) => {
          const user = Object.hasOwn(users, username) ? users[username] : undefined
          if (user === undefined || user.password !== password) {
            response.writeHead(401, { "content-type": "application/json" }).end("{\"details\":\"incorrect\"}")
            return
          }
          given.push(`${username} ${scopes.join(" ")}`.trim())
          response.writeHead(200, { "content-type": "application/json" })
            .end(JSON.stringify({ token: tokenFor(username, user, scopes), expires_in: 300 }))
        })
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )
  // It listens on TCP.
  const { port } = server.address() as AddressInfo
  return {
    auth: { realm: `http://127.0.0.1:${port}/token`, service, issuer, rootcertbundle: `${folder}/cert.pem` },
    given
  } satisfies TokenServer
})
