/**
 * Images to move, as OCI layout folders: random bytes, so that nothing is gained by compressing or comparing them.
 */
import { createHash, randomBytes } from "node:crypto"
import { closeSync, mkdirSync, openSync, renameSync, writeFileSync, writeSync } from "node:fs"
import * as path from "node:path"

const manifestType = "application/vnd.oci.image.manifest.v1+json"
const indexType = "application/vnd.oci.image.index.v1+json"

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

const block = randomBytes(1024 * 1024)
let blocks = 0

/** Writes blobs into a folder. */
const writer = (folder: string) => {
  const blobs = path.join(folder, "blobs/sha256")
  mkdirSync(blobs, { recursive: true })

  const random = (mediaType: string, size: number): Descriptor => {
    const temporary = path.join(folder, "blob")
    const hash = createHash("sha256")
    const file = openSync(temporary, "w")
    for (let at = 0; at < size; at += block.length) {
      // The same bytes in every block but for its number: made in no time, and none like another.
      block.writeDoubleLE(++blocks, 0)
      const part = block.subarray(0, Math.min(block.length, size - at))
      hash.update(part)
      writeSync(file, part)
    }
    closeSync(file)
    const hex = hash.digest("hex")
    renameSync(temporary, path.join(blobs, hex))
    return { mediaType, digest: `sha256:${hex}`, size }
  }

  const json = (mediaType: string, value: unknown): Descriptor => {
    const bytes = Buffer.from(JSON.stringify(value))
    const hex = createHash("sha256").update(bytes).digest("hex")
    writeFileSync(path.join(blobs, hex), bytes)
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length }
  }

  const image = (sizes: ReadonlyArray<number>): Descriptor => {
    const layers = sizes.map((size) => random("application/vnd.oci.image.layer.v1.tar", size))
    const config = json("application/vnd.oci.image.config.v1+json", {
      architecture: "amd64",
      os: "linux",
      rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => digest) }
    })
    return json(manifestType, { schemaVersion: 2, mediaType: manifestType, config, layers })
  }

  const finish = (root: Descriptor): void => {
    writeFileSync(path.join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }))
    const annotations = { "org.opencontainers.image.ref.name": "1" }
    writeFileSync(
      path.join(folder, "index.json"),
      JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: [{ ...root, annotations }] })
    )
  }

  return { image, json, finish }
}

/** One image of layers of these sizes. */
export const image = (folder: string, sizes: ReadonlyArray<number>): void => {
  const { finish, image } = writer(folder)
  finish(image(sizes))
}

/** An index of so many images, each of layers of these sizes. */
export const index = (folder: string, images: number, sizes: ReadonlyArray<number>): void => {
  const { finish, image, json } = writer(folder)
  const manifests = Array.from({ length: images }, (_, at) => ({
    ...image(sizes),
    platform: { os: "linux", architecture: "amd64", variant: `v${at}` }
  }))
  finish(json(indexType, { schemaVersion: 2, mediaType: indexType, manifests }))
}
