/**
 * Small requests, one after the other, by one of the clients that are compared: `requests.ts CLIENT URL COUNT`. Each loads only
 * what it needs.
 */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"

type Client = (url: string, count: number) => Promise<void>

/** Any `HttpClient` of Effect. */
const asking = Effect.fnUntraced(function*(url: string, count: number) {
  const client = yield* HttpClient.HttpClient
  for (let at = 0; at < count; at++) yield* Effect.flatMap(client.get(url), ({ text }) => text)
})

export const clients: Readonly<Record<string, Client>> = {
  undici: async (url, count) => {
    const { request } = await import("@effect/platform-node/Undici")
    const once = Effect.promise(async () => (await request(url)).body.text())
    await Effect.runPromise(Effect.repeat(once, { times: count - 1 }))
  },
  HttpClient: async (url, count) => {
    const { layerUndici } = await import("@effect/platform-node/NodeHttpClient")
    await Effect.runPromise(Effect.provide(asking(url, count), layerUndici))
  },
  lane: async (url, count) => {
    const { layer } = await import("@effect-oci/node/NodeLane")
    await Effect.runPromise(Effect.provide(asking(url, count), layer))
  },
  "effect-oci": async (url, count) => {
    const { host, pathname } = new URL(url)
    const NodeOci = await import("@effect-oci/node/NodeOci")
    const Keychain = await import("@effect-oci/authn/Keychain")
    const Registry = await import("@effect-oci/name/Registry")
    const ResponseBody = await import("@effect-oci/transport/ResponseBody")
    const { Transport } = await import("@effect-oci/transport/Transport")
    const program = Effect.gen(function*() {
      const transport = yield* Transport
      const client = transport.client({ resource: yield* Effect.fromResult(Registry.parse(host)), scopes: [] })
      for (let at = 0; at < count; at++) {
        yield* Effect.flatMap(client.get(pathname), (response) => ResponseBody.bytes(response, 64 * 1024))
      }
    })
    await Effect.runPromise(Effect.provide(program, NodeOci.layerWith(Keychain.layerMemory([]))))
  }
}

if (import.meta.main) {
  const [name = "", url = "", count = "0"] = process.argv.slice(2)
  await clients[name]!(url, Number(count))
  // Connections that are kept would keep the program as well.
  process.exit()
}
