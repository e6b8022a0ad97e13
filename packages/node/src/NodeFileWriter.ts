/**
 * Large files written past the kernel's cache, where the system can.
 *
 * What is to be on the disk before it gets its name is otherwise copied into the kernel's cache, which has to find memory for
 * it, and is waited for in the end. By `O_DIRECT` (Linux) the disk takes it from the program's memory while the next bytes
 * come: nothing is left to wait for, and what others have in the cache stays there. Whoever reads the file next reads it from
 * the disk.
 *
 * @since 1.0.0
 */
import * as FileWriter from "@effect-oci/layout/FileWriter"
import * as Layer from "effect/Layer"
import * as Disk from "./internal/disk.ts"
import * as PastCache from "./internal/pastCache.ts"

/**
 * Writes a file past the kernel's cache, from its second MiB on.
 *
 * **Details**
 *
 * Where that is refused, or all memory for it is in use (16 MiB for all files together), the file system writes what there
 * is, and its errors are those that are seen.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make: FileWriter.Make = PastCache.make(Disk.open)

/**
 * Writes files by `make` from here on.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<never> = Layer.succeed(FileWriter.FileWriting, make)
