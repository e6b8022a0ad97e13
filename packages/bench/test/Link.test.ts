import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type AddressInfo, connect, createServer } from "node:net"
import * as Link from "../src/Link.ts"

/** Sends bytes and waits for them to come back; gives what came, and after how many milliseconds. */
const echoed = (host: string, texts: ReadonlyArray<string>) =>
  Effect.callback<{ readonly got: string; readonly took: number }>((resume) => {
    const start = performance.now()
    const length = texts.join("").length
    const socket = connect(Number(host.split(":")[1]), "127.0.0.1")
    let got = ""
    for (const text of texts) socket.write(text)
    socket.on("data", (bytes) => {
      got += String(bytes)
      if (got.length < length) return
      socket.destroy()
      resume(Effect.succeed({ got, took: performance.now() - start }))
    })
  })

describe("Link", () => {
  it.live("keeps bytes in order, and all of them for a round trip and a handshake", () =>
    Effect.gen(function*() {
      const server = createServer((socket) => void socket.on("error", () => {}).pipe(socket))
      yield* Effect.acquireRelease(
        Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
        () => Effect.sync(() => void server.close())
      )
      const far = yield* Link.make(`127.0.0.1:${(server.address() as AddressInfo).port}`, 60)
      const texts = ["one", "two", "x".repeat(300_000), "three"]
      const { got, took } = yield* echoed(far, texts)
      assert.isTrue(got === texts.join(""))
      assert.isAtLeast(took, 119)
    }))
})
