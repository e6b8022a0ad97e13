/**
 * Files written past the kernel's cache from where on they are large, and by the file system where that is refused.
 */
import * as FileWriter from "@effect-oci/layout/FileWriter"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Blocks from "./blocks.ts"
import * as Disk from "./disk.ts"

/** From where on a file is large, in bytes: smaller ones are written before another way of it is open. */
const large = Blocks.size

/** What disks are given is aligned to, in bytes. */
const page = 4096

export const make = (openDirect: Disk.Open): FileWriter.Make =>
  Effect.fnUntraced(function*(file, path) {
    const scope = yield* Effect.scope
    const plain = yield* FileWriter.make(file, path)
    /** Where what is next goes that neither the disk nor the file system was given; a block may hold the beginning of it. */
    let position = 0
    let isSmall = true
    let direct: Disk.Direct | undefined
    let turn: 0 | 1 = 0
    let filled = 0
    let flight: Disk.Flight | undefined

    const writePlain = (bytes: Uint8Array, at: number) =>
      Effect.andThen(file.seek(BigInt(at), "start"), plain.append(bytes))

    /** Waits for the disk. What it did not take, the file system writes: it says why not. */
    const land = Effect.gen(function*() {
      if (flight === undefined) return
      const { block } = flight
      const taken = yield* Disk.land(flight)
      flight = undefined
      if (taken === block.length) return
      direct = undefined
      yield* writePlain(block.subarray(taken), position - block.length + taken)
    })

    const give = Effect.fnUntraced(function*(block: Uint8Array) {
      yield* land
      if (direct === undefined) yield* writePlain(block, position)
      else flight = direct.launch(block, position)
      position += block.length
      filled = 0
      turn = turn === 0 ? 1 : 0
    })

    /** Adds what does not go past the cache. */
    const addPlain = Effect.fnUntraced(function*(bytes: Uint8Array) {
      yield* plain.append(bytes)
      position += bytes.length
    })

    const append = Effect.fnUntraced(function*(bytes: Uint8Array) {
      let rest = bytes
      if (isSmall && position >= large) {
        // A disk is given whole pages, at places for pages.
        const head = rest.subarray(0, (page - position % page) % page)
        if (head.length > 0) yield* addPlain(head)
        rest = rest.subarray(head.length)
        if (rest.length === 0) return
        isSmall = false
        direct = yield* Scope.provide(openDirect(path), scope)
        yield* Scope.addFinalizer(scope, Effect.suspend(() => flight === undefined ? Effect.void : Disk.land(flight)))
      }
      for (let to = direct; to !== undefined && rest.length > 0; to = direct) {
        const block = to.blocks[turn]
        const part = rest.subarray(0, block.length - filled)
        block.set(part, filled)
        filled += part.length
        rest = rest.subarray(part.length)
        if (filled === block.length) yield* give(block)
      }
      if (rest.length > 0) yield* addPlain(rest)
    })

    const end = Effect.gen(function*() {
      const last = direct?.blocks[turn].subarray(0, filled)
      yield* land
      if (last !== undefined && last.length > 0) yield* writePlain(last, position)
      yield* plain.end
    })

    return { append, end }
  })
