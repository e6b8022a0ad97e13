/**
 * Installs the peers that are missing.
 */
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { userInfo } from "node:os"
import * as Peer from "./Peer.ts"

const timed = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(
    Effect.timed(effect),
    ([duration]) => Console.log(`${what}: ${Duration.toSeconds(duration).toFixed(1)} s`)
  )

const works = (command: string, ...args: ReadonlyArray<string>) => Effect.isSuccess(Peer.exec(command, args))

const apt = (...args: ReadonlyArray<string>) =>
  Peer.exec("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=120", ...args], { env: { DEBIAN_FRONTEND: "noninteractive" } })

/**
 * Installs Debian's packages where they are missing.
 */
export const installDebian = Effect.gen(function*() {
  const missing: Array<string> = []
  for (const name of Peer.debian) if (!(yield* works(name, "--version"))) missing.push(name)
  if (missing.length === 0) return
  const names = missing.join(" ")
  if (!(yield* works("apt-get", "--version")) || userInfo().uid !== 0) {
    return yield* new Peer.PeerError({
      peer: names,
      detail: `not installed, and only root of a Debian can do that: run apt-get install ${names} as root`
    })
  }
  yield* timed(
    `apt-get install ${names}`,
    Effect.andThen(apt("update"), apt("install", "-y", "--no-install-recommends", ...missing))
  )
})

const isBuilt = (name: Peer.GoName) => {
  const [module, folder, version] = Peer.go[name]
  return Peer.exec("go", ["version", "-m", Peer.locate(name)]).pipe(
    Effect.map((text) => {
      const words = text.split("\n").map((line) => line.trim().split("\t").slice(0, 3).join(" "))
      return words.includes(`path ${module}${folder}`) && words.includes(`mod ${module} ${version}`)
    }),
    Effect.orElseSucceed(() => false)
  )
}

/**
 * Builds programs written in Go where they are missing or of another version.
 */
export const installGo = Effect.gen(function*() {
  const missing: Array<Peer.GoName> = []
  // Every key of a constant object.
  for (const name of Object.keys(Peer.go) as Array<Peer.GoName>) if (!(yield* isBuilt(name))) missing.push(name)
  if (missing.length === 0) return
  if (!(yield* works("go", "version"))) {
    return yield* new Peer.PeerError({ peer: missing.join(" "), detail: "Go, which builds them, is not on the PATH" })
  }
  for (const name of missing) {
    const [module, folder, version] = Peer.go[name]
    const target = `${module}${folder}@${version}`
    // Go calls a program as its folder is called, which more than one may be.
    const fs = yield* FileSystem.FileSystem
    const made = `${Peer.bin}.${name}`
    yield* timed(
      `go install ${target}`,
      Peer.exec("go", ["install", target], { env: { CGO_ENABLED: "0", GOBIN: made } })
    )
    const [file] = yield* fs.readDirectory(made)
    yield* fs.rename(`${made}/${file}`, Peer.locate(name))
    yield* fs.remove(made, { recursive: true })
  }
})
