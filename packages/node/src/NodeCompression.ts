/**
 * gzip and zstd by `node:zlib`, off the main thread.
 *
 * @since 1.0.0
 */
import * as Compression from "@effect-oci/content/Compression"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { Transform } from "node:stream"
import * as Zlib from "node:zlib"
import * as ZstdFrames from "./internal/zstdFrames.ts"

/** One buffer a pull: what comes out is hashed and sent in pieces of this size. */
const chunkSize = 64 * 1024

const flow = (engine: Transform): Compression.Flow => {
  // Told to whoever reads; without a listener it would end the process.
  engine.on("error", () => {})
  return {
    write: (bytes) =>
      new Promise((resolve, reject) => engine.write(bytes, (error) => error ? reject(error) : resolve())),
    end: () => new Promise((resolve) => engine.end(resolve)),
    read: () =>
      new Promise((resolve, reject) => {
        const settle = (): boolean => {
          if (engine.errored !== null) {
            reject(engine.errored)
            return true
          }
          const bytes: Uint8Array | null = engine.read()
          if (bytes !== null) resolve(bytes)
          else if (engine.readableEnded) resolve(undefined)
          else if (engine.destroyed) reject(new Error("destroyed"))
          else return false
          return true
        }
        if (settle()) return
        const events = ["readable", "end", "error", "close"] as const
        const listen = () => {
          if (!settle()) return
          for (const event of events) engine.off(event, listen)
        }
        for (const event of events) engine.on(event, listen)
      }),
    destroy: () => {
      engine.destroy()
    }
  }
}

/**
 * gzip by `node:zlib`.
 *
 * @category constructors
 * @since 1.0.0
 */
export const gzip: Compression.Codec = {
  compress: (level) => flow(Zlib.createGzip({ chunkSize, ...(level === undefined ? {} : { level }) })),
  decompress: () => flow(Zlib.createGunzip({ chunkSize }))
}

/** Written frame by frame, and refused where the last one was cut. */
const framed = (engine: Transform): Compression.Flow => {
  const inner = flow(engine)
  const frames = ZstdFrames.make()
  const refuse = (error: unknown) => {
    engine.destroy(error instanceof Error ? error : new Error(String(error)))
  }
  return {
    ...inner,
    write: async (bytes) => {
      try {
        // They queue up in their order.
        await Promise.all(frames.split(bytes).map(inner.write))
      } catch (error) {
        refuse(error)
      }
    },
    end: async () => frames.isWhole() ? await inner.end() : refuse(new Error("cut"))
  }
}

/**
 * zstd by `node:zlib`: from Node 22.15 and 23.8 on.
 *
 * @category constructors
 * @since 1.0.0
 */
export const zstd: Compression.Codec = {
  compress: (level) =>
    flow(Zlib.createZstdCompress({
      chunkSize,
      ...(level === undefined ? {} : { params: { [Zlib.constants.ZSTD_c_compressionLevel]: level } })
    })),
  decompress: () => framed(Zlib.createZstdDecompress({ chunkSize }))
}

/**
 * Compresses by `node:zlib` from here on.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<never> = Layer.succeed(Compression.Codecs, {
  gzip: Option.some(gzip),
  zstd: Option.some(zstd)
})
