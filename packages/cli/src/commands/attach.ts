import { ContentError, Invalid } from "@effect-oci/content/ContentError"
import type * as Attachment from "@effect-oci/remote/Attachment"
import { Remote } from "@effect-oci/remote/Remote"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { report } from "../Failed.ts"
import * as Flags from "../Flags.ts"
import * as Output from "../Output.ts"
import * as Progress from "../Progress.ts"

/** RFC 6838, section 4.2. */
const name = "[a-z0-9][a-z0-9!#$&^_.+-]*"
const mediaType = new RegExp(`^${name}/${name}$`, "i")
const withType = new RegExp(`^(.+):(${name}/${name})$`, "i")

/** `FILE[:MEDIATYPE]`: a media type has a slash, and a file's name has none behind its last colon. */
const parse = (text: string): { readonly file: string; readonly mediaType: string } => {
  const match = withType.exec(text)
  return match === null
    ? { file: text, mediaType: "application/octet-stream" }
    : { file: match[1]!, mediaType: match[2]! }
}

/** Fails where a file cannot be read; what is not one, such as a pipe, may be. */
const readable = Effect.fnUntraced(function*(file: string) {
  const fs = yield* FileSystem.FileSystem
  yield* fs.access(file, { readable: true })
  if ((yield* fs.stat(file)).type === "Directory") {
    return yield* new ContentError({
      operation: "read",
      location: file,
      reason: new Invalid({ detail: "a folder cannot be attached" })
    })
  }
})

export const attach = Command.make("attach", {
  reference: Argument.String("REF").pipe(Argument.withDescription("what it is about"), Flags.inRegistry),
  files: Argument.String("FILE[:TYPE]").pipe(
    Argument.withDescription("a file, and its media type; application/octet-stream unless told"),
    Argument.variadic({ min: 0 })
  ),
  artifactType: Flag.String("artifact-type").pipe(
    Flag.withDescription("what kind of thing is attached, such as application/spdx+json"),
    Flag.filter((text) => mediaType.test(text), () => "a media type, such as application/spdx+json")
  ),
  annotations: Flag.KeyValuePair("annotation").pipe(
    Flag.withDescription("an annotation of the artifact, KEY=VALUE; may be given several times"),
    Flag.withDefault({})
  ),
  json: Flags.json
}, ({ annotations, artifactType, files, json, reference }) =>
  report(Effect.gen(function*() {
    const remote = yield* Remote
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const blobs = files.map(parse).map(({ file, mediaType }): Attachment.Blob => ({
      mediaType,
      bytes: fs.stream(file, { chunkSize: 256 * 1024 }),
      annotations: { "org.opencontainers.image.title": path.basename(file) }
    }))
    // Before anything is sent.
    yield* Effect.forEach(files.map(parse), ({ file }) => readable(file), { discard: true })
    const attached = yield* Progress.show(process.stderr, (onEvent) =>
      remote.attach(reference, {
        artifactType,
        blobs,
        annotations: Object.keys(annotations).length === 0 ? undefined : annotations
      }, { onEvent }))
    yield* json
      ? Output.json({ reference: String(attached.reference), descriptor: attached.descriptor })
      : Console.log(String(attached.reference))
  }))).pipe(
    Command.withDescription("Attaches files to an image or any other manifest, as an artifact that refers to it"),
    Command.withExamples([
      {
        command:
          "effect-oci attach --artifact-type application/spdx+json ghcr.io/acme/app:1.2 sbom.json:application/spdx+json"
      }
    ])
  )
