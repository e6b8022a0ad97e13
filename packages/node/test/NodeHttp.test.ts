import * as Credential from "@effect-oci/authn/Credential"
import * as Keychain from "@effect-oci/authn/Keychain"
import * as Digest from "@effect-oci/name/Digest"
import * as Registry from "@effect-oci/name/Registry"
import * as Foreign from "@effect-oci/remote/Foreign"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Origin from "@effect-oci/transport/Origin"
import * as Proxy from "@effect-oci/transport/Proxy"
import type { RegistryError } from "@effect-oci/transport/RegistryError"
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import * as RetryPolicy from "@effect-oci/transport/RetryPolicy"
import * as Transport from "@effect-oci/transport/Transport"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { connect, type LookupFunction } from "node:net"
import { gzipSync } from "node:zlib"
import * as NodeDial from "../src/NodeDial.ts"
import * as NodeHttp from "../src/NodeHttp.ts"
import * as NodeLane from "../src/NodeLane.ts"
import * as Certificates from "./certificates.ts"
import * as Recorder from "./recorder.ts"

const secret = "canary-password"
const user = Credential.basic("ann", secret)
const tls = { key: Certificates.serverKey, cert: Certificates.serverCert }
const believed = { tls: { ca: [Certificates.ca] } }

/** Every name is this machine; but for what is said. */
const resolve = (answers: Record<string, ReadonlyArray<string>> = {}) => {
  const asked: Array<string> = []
  const lookup: LookupFunction = (hostname, options, callback) => {
    const before = asked.filter((name) => name === hostname).length
    asked.push(hostname)
    const address = answers[hostname]?.[before] ?? "127.0.0.1"
    const family = address.includes(":") ? 6 : 4
    setImmediate(() => options.all === true ? callback(null, [{ address, family }]) : callback(null, address, family))
  }
  return { lookup, asked }
}

interface Given {
  readonly origins?: Origin.Lookup
  readonly proxies?: Proxy.Lookup
  readonly lookup?: LookupFunction
  readonly user?: string
}

const layerOf = (client: Layer.Layer<HttpClient.HttpClient>) => (given: Given) =>
  Transport.layer.pipe(
    Layer.provide(client),
    Layer.provide(Layer.mergeAll(
      Layer.succeed(Origin.Origins, given.origins ?? (() => ({}))),
      Layer.succeed(Proxy.Proxies, given.proxies ?? (() => undefined)),
      Layer.succeed(NodeDial.Lookup, given.lookup ?? resolve().lookup)
    )),
    Layer.provide(Keychain.layerMemory(given.user === undefined ? [] : [[given.user, user]]))
  )

const get = (host: string, path = "/v2/app/manifests/1"): Effect.Effect<number, RegistryError, Transport.Transport> =>
  Effect.gen(function*() {
    const transport = yield* Transport.Transport
    const client = transport.client({ resource: Registry.parseUnsafe(host), scopes: [] })
    const response = yield* client.get(path)
    yield* ResponseBody.discard(response)
    return response.status
  })

const leadingTo = (url: string): Recorder.Handler => ({ url: path }, response) =>
  path === "/v2/" ? void response.end() : void response.writeHead(307, { location: url }).end()

describe.each([["NodeHttp", NodeHttp.layer], ["NodeLane", NodeLane.layer]] as const)("%s", (_, client) => {
  const layer = layerOf(client)

  describe("the guard", () => {
    it.live("A05 dials no internal address for a name that a reply gave, and says which", () =>
      Effect.gen(function*() {
        const attacker = yield* Recorder.serve()
        const registry = yield* Recorder.serve(leadingTo(`http://evil.test:${attacker.port}/secrets`))
        const { asked, lookup } = resolve({ "evil.test": ["127.0.0.1", "::1", "169.254.169.254", "::ffff:10.0.0.1"] })
        yield* Effect.gen(function*() {
          // Each socket is checked by what its own look-up says.
          for (const address of ["127.0.0.1", "::1", "169.254.169.254", "::ffff:10.0.0.1"]) {
            const error = yield* Effect.flip(get(`127.0.0.1:${registry.port}`))
            assert.deepInclude(error.reason, { _tag: "InternalAddress", host: "evil.test", address })
            assert.isFalse(error.isRetryable)
            assert.include(error.message, address)
          }
        }).pipe(Effect.provide(layer({ lookup })))
        assert.strictEqual(asked.length, 4)
        assert.strictEqual(attacker.sockets, 0)
      }))

    it.live("A05 nor for a token server, nor for an upload's session, nor for a foreign layer", () =>
      Effect.gen(function*() {
        const attacker = yield* Recorder.serve(undefined, tls)
        const challenge = `Bearer realm="https://evil.test:${attacker.port}/token"`
        const registry = yield* Recorder.serve(({ url }, response) =>
          url === "/v2/" ? void response.end() : void response.writeHead(401, { "www-authenticate": challenge }).end()
        )
        const host = `127.0.0.1:${registry.port}`
        const evil = `https://evil.test:${attacker.port}/`
        let read = 0
        const body = HttpBody.stream(
          Stream.sync(() => new Uint8Array(++read)),
          "application/octet-stream",
          1
        )
        const descriptor = Descriptor.make({
          mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
          digest: Digest.parseUnsafe(`sha256:${"0".repeat(64)}`),
          size: 1,
          urls: [evil]
        })
        const http = client.pipe(Layer.provide(Layer.succeed(NodeDial.Lookup, resolve().lookup)))
        const [realm, session, foreign] = yield* Effect.all([
          Effect.flip(get(host)),
          Effect.flip(
            Effect.flatMap(
              Transport.Transport,
              (transport) => transport.client({ resource: Registry.parseUnsafe(host), scopes: [] }).put(evil, { body })
            )
          ),
          Effect.flip(Effect.flatMap(Foreign.Foreign, (fetch) => Stream.runDrain(fetch!(descriptor)))).pipe(
            Effect.provide(Layer.provide(Foreign.layer, http))
          )
        ]).pipe(Effect.provide(layer({ user: host })))
        assert.deepInclude(realm.reason, { _tag: "InternalAddress", host: "evil.test", address: "127.0.0.1" })
        assert.deepInclude(session.reason, { _tag: "InternalAddress", host: "evil.test", address: "127.0.0.1" })
        assert.deepInclude(foreign.reason, { _tag: "InternalAddress", host: "evil.test", address: "127.0.0.1" })
        assert.deepStrictEqual([attacker.sockets, read], [0, 0])
      }))

    it.live("A05 does not use a connection that was made without it", () =>
      Effect.gen(function*() {
        const target = yield* Recorder.serve()
        const registry = yield* Recorder.serve(leadingTo(`http://corp.test:${target.port}/`))
        const name = `corp.test:${target.port}`
        yield* Effect.gen(function*() {
          // Named by the user: may be where it likes.
          assert.strictEqual(yield* get(name), 200)
          const error = yield* Effect.flip(get(`127.0.0.1:${registry.port}`))
          assert.strictEqual(error.reason._tag, "InternalAddress")
        }).pipe(
          Effect.provide(layer({ origins: Origin.fromEntries([[name, { plainHttp: true, internal: false }]]) }))
        )
        assert.deepStrictEqual(target.requests.map(({ url }) => url), ["/v2/", "/v2/app/manifests/1"])
      }))

    it.live("lets those pass that the user named among the origins", () =>
      Effect.gen(function*() {
        const storage = yield* Recorder.serve()
        const registry = yield* Recorder.serve(leadingTo(`http://storage.test:${storage.port}/blob`))
        const origins = Origin.fromEntries([[`storage.test:${storage.port}`, {}]])
        assert.strictEqual(yield* Effect.provide(get(`127.0.0.1:${registry.port}`), layer({ origins })), 200)
        assert.deepStrictEqual(storage.requests.map(({ url }) => url), ["/blob"])
      }))

    it.live("lets a registry lead to another port of its own", () =>
      Effect.gen(function*() {
        const storage = yield* Recorder.serve()
        const registry = yield* Recorder.serve(leadingTo(`http://127.0.0.1:${storage.port}/blob`))
        assert.strictEqual(yield* Effect.provide(get(`127.0.0.1:${registry.port}`), layer({})), 200)
      }))
  })

  describe("TLS", () => {
    it.live("believes an authority for the host that it is set for, and for no other", () =>
      Effect.gen(function*() {
        const server = yield* Recorder.serve(undefined, tls)
        const origins = Origin.fromEntries([[`registry.test:${server.port}`, believed]])
        yield* Effect.gen(function*() {
          assert.strictEqual(yield* get(`registry.test:${server.port}`), 200)
          const error = yield* Effect.flip(get(`other.test:${server.port}`))
          assert.deepInclude(error.reason, { _tag: "Unreachable", transient: false })
        }).pipe(Effect.provide(layer({ origins })))
      }))

    it.live("B22 fails at once, once, where a certificate is not believed", () =>
      Effect.gen(function*() {
        const server = yield* Recorder.serve(undefined, tls)
        const waits: Array<unknown> = []
        const error = yield* Effect.flip(get(`registry.test:${server.port}`)).pipe(
          Effect.provide(layer({})),
          Effect.provideService(RetryPolicy.OnWait, (wait) => Effect.sync(() => void waits.push(wait))),
          Effect.timeout("10 seconds")
        )
        assert.deepInclude(error.reason, { _tag: "Unreachable", transient: false })
        // The ping, and what goes out with it.
        assert.deepStrictEqual([waits.length, server.sockets, server.requests.length], [0, 2, 0])
      }))

    it.live("believes anybody only where it is told to", () =>
      Effect.gen(function*() {
        const server = yield* Recorder.serve(undefined, tls)
        const origins = Origin.fromEntries([[`wrong.test:${server.port}`, { tls: { skipVerify: true } }]])
        assert.strictEqual(yield* Effect.provide(get(`wrong.test:${server.port}`), layer({ origins })), 200)
      }))

    it.live("shows its own certificate to the host that it is for, and to no other", () =>
      Effect.gen(function*() {
        const server = yield* Recorder.serve(undefined, {
          ...tls,
          ca: Certificates.ca,
          requestCert: true,
          rejectUnauthorized: false
        })
        const cert = { cert: Certificates.clientCert, key: Redacted.make(Certificates.clientKey) }
        const origins = Origin.fromEntries([
          [`registry.test:${server.port}`, { tls: { ...believed.tls, ...cert } }],
          [`other.test:${server.port}`, believed]
        ])
        yield* Effect.gen(function*() {
          yield* get(`registry.test:${server.port}`)
          yield* get(`other.test:${server.port}`)
        }).pipe(Effect.provide(layer({ origins })))
        assert.deepStrictEqual(server.requests.map(({ client }) => client), ["client", "client", undefined, undefined])
      }))

    it.live("fails at once, once, where its own certificate cannot be used", () =>
      Effect.gen(function*() {
        const server = yield* Recorder.serve(undefined, tls)
        const other = { cert: Certificates.clientCert, key: Redacted.make(Certificates.serverKey) }
        const origins = Origin.fromEntries([[`registry.test:${server.port}`, { tls: { ...believed.tls, ...other } }]])
        const error = yield* Effect.flip(Effect.provide(get(`registry.test:${server.port}`), layer({ origins })))
        assert.deepInclude(error.reason, { _tag: "Unreachable", transient: false })
        assert.include(error.message, "key values mismatch")
        assert.strictEqual(server.sockets, 0)
      }))

    it.live("A24 does not take the settings of one host along to the next", () =>
      Effect.gen(function*() {
        const bad = yield* Recorder.serve(undefined, tls)
        const registry = yield* Recorder.serve(leadingTo(`https://wrong.test:${bad.port}/`), tls)
        const origins = Origin.fromEntries([
          [`registry.test:${registry.port}`, { tls: { skipVerify: true } }],
          [`wrong.test:${bad.port}`, {}]
        ])
        const error = yield* Effect.flip(Effect.provide(get(`registry.test:${registry.port}`), layer({ origins })))
        assert.deepInclude(error.reason, { _tag: "Unreachable", transient: false })
        assert.strictEqual(bad.requests.length, 0)
      }))

    it.live("A14 never goes on in clear where TLS fails", () =>
      Effect.gen(function*() {
        const server = yield* Recorder.raw((socket) => socket.resetAndDestroy())
        const error = yield* Effect.flip(get(`registry.test:${server.port}`)).pipe(
          Effect.provide(layer({})),
          Effect.provideService(RetryPolicy.RetryPolicy, RetryPolicy.challenge)
        )
        assert.strictEqual(error.reason._tag, "Unreachable")
        assert.isAtLeast(server.heard.length, 1)
        // What TLS begins with.
        assert.deepStrictEqual(server.heard.filter((text) => text.charCodeAt(0) !== 22), [])
      }))

    it.live("says what to do where a registry does not speak it", () =>
      Effect.gen(function*() {
        const plain = yield* Recorder.serve()
        const error = yield* Effect.flip(Effect.provide(get(`registry.test:${plain.port}`), layer({})))
        assert.deepInclude(error.reason, { _tag: "Unreachable", transient: false })
        assert.include(error.hint, "plain http")
        assert.strictEqual(plain.requests.length, 0)
      }))

    it.live("A10 sends nothing in clear after a redirect from https", () =>
      Effect.gen(function*() {
        const clear = yield* Recorder.serve()
        const registry = yield* Recorder.serve(leadingTo(`http://registry.test:${clear.port}/`), tls)
        const origins = Origin.fromEntries([[`registry.test:${registry.port}`, believed]])
        const error = yield* Effect.flip(Effect.provide(get(`registry.test:${registry.port}`), layer({ origins })))
        assert.include(error.message, "from https to http")
        assert.strictEqual(clear.sockets, 0)
      }))
  })

  describe("proxies", () => {
    /** Connects to loopback, whatever it is asked for. */
    const tunnel = (port: () => number) =>
      Recorder.serve(undefined, undefined, (_, socket, head) => {
        const to = connect(port(), "127.0.0.1", () => {
          socket.write("HTTP/1.1 200 Connection Established\r\n\r\n")
          to.write(head)
          to.pipe(socket)
          socket.pipe(to)
        })
        to.on("error", () => socket.destroy())
        socket.on("error", () => to.destroy())
      })

    it.live("A23 tells a proxy's password to the proxy only, and a registry's to the registry only", () =>
      Effect.gen(function*() {
        const registry = yield* Recorder.serve((request, response) =>
          request.headers.authorization === undefined
            ? void response.writeHead(401, { "www-authenticate": "Basic realm=\"x\"" }).end()
            : void response.end(), tls)
        const proxy = yield* tunnel(() => registry.port)
        const host = `registry.test:${registry.port}`
        const status = yield* get(host).pipe(Effect.provide(layer({
          origins: Origin.fromEntries([[host, believed]]),
          proxies: Proxy.make({ https: Redacted.make(`http://pat:proxy-canary@127.0.0.1:${proxy.port}`) }),
          user: host
        })))
        assert.strictEqual(status, 200)
        assert.deepStrictEqual(
          new Set(proxy.requests.map(({ method, url }) => `${method} ${url}`)),
          new Set([`CONNECT ${host}`])
        )
        const basic = (text: string) => Buffer.from(text).toString("base64")
        assert.strictEqual(proxy.requests[0]!.headers["proxy-authorization"], `Basic ${basic("pat:proxy-canary")}`)
        assert.notInclude(Recorder.all(proxy), basic(`ann:${secret}`))
        assert.include(Recorder.all(registry), basic(`ann:${secret}`))
        assert.isTrue(registry.requests.every(({ headers }) => headers["proxy-authorization"] === undefined))
      }))

    it.live("asks a proxy for what is not to be tunnelled, and goes without where it is told to", () =>
      Effect.gen(function*() {
        const proxy = yield* Recorder.serve()
        const direct = yield* Recorder.serve()
        const other = `direct.test:${direct.port}`
        yield* Effect.gen(function*() {
          yield* get("plain.test:5000")
          yield* get(other)
        }).pipe(Effect.provide(layer({
          origins: Origin.fromEntries([["plain.test:5000", { plainHttp: true }], [other, { plainHttp: true }]]),
          proxies: Proxy.make({ http: Redacted.make(`http://127.0.0.1:${proxy.port}`), except: "direct.test" })
        })))
        assert.deepStrictEqual(proxy.requests.map(({ url }) => url), [
          "http://plain.test:5000/v2/",
          "http://plain.test:5000/v2/app/manifests/1"
        ])
        assert.strictEqual(direct.requests.length, 2)
      }))

    it.live("fails where the proxy refuses", () =>
      Effect.gen(function*() {
        const proxy = yield* Recorder.serve(undefined, undefined, (_, socket) => {
          socket.end("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        })
        const error = yield* Effect.flip(get("registry.test")).pipe(
          Effect.provide(layer({ proxies: Proxy.make({ https: Redacted.make(`http://127.0.0.1:${proxy.port}`) }) })),
          Effect.provideService(RetryPolicy.RetryPolicy, RetryPolicy.challenge)
        )
        assert.deepInclude(error.reason, { _tag: "Unreachable" })
        assert.include(error.message, "407")
      }))
  })

  it.live("A39 hands on a coded body as it came, without what it would grow to", () =>
    Effect.gen(function*() {
      const bomb = gzipSync(new Uint8Array(64 * 1024 * 1024))
      const registry = yield* Recorder.serve((_, response) =>
        void response.writeHead(200, { "content-encoding": "gzip", "content-length": bomb.length }).end(bomb)
      )
      const host = `127.0.0.1:${registry.port}`
      const received = yield* Effect.gen(function*() {
        const transport = yield* Transport.Transport
        const response = yield* transport.client({ resource: Registry.parseUnsafe(host), scopes: [] }).get("/v2/blob")
        return yield* ResponseBody.bytes(response, 1024 * 1024)
      }).pipe(Effect.provide(layer({})))
      assert.deepStrictEqual(Buffer.from(received), bomb)
      assert.isTrue(registry.requests.every(({ headers }) => headers["accept-encoding"] === "identity"))
    }))

  it.live("follows a location of 40 KiB, as Artifact Registry's are", () =>
    Effect.gen(function*() {
      const storage = yield* Recorder.serve()
      const long = "x".repeat(40 * 1024)
      const registry = yield* Recorder.serve(leadingTo(`http://127.0.0.1:${storage.port}/?signature=${long}`))
      assert.strictEqual(yield* Effect.provide(get(`127.0.0.1:${registry.port}`), layer({})), 200)
      assert.strictEqual(storage.requests[0]!.url.length, "/?signature=".length + long.length)
    }))
})
