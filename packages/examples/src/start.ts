/**
 * What `npm start` shows: two registries on this machine, one of which asks for a token; an image for two platforms, made of
 * real files; pushed, copied, pulled and verified.
 */
import * as Credential from "@effect-oci/authn/Credential"
import * as Keychain from "@effect-oci/authn/Keychain"
import * as Copy from "@effect-oci/content/Copy"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as WriteGraph from "@effect-oci/content/WriteGraph"
import * as OciLayout from "@effect-oci/layout/OciLayout"
import * as Tag from "@effect-oci/name/Tag"
import * as NodeOci from "@effect-oci/node/NodeOci"
import * as NodeRegistry from "@effect-oci/node/NodeRegistry"
import { Remote } from "@effect-oci/remote/Remote"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Document from "@effect-oci/spec/Document"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { fromFiles } from "./Image.ts"

const user = { name: "ann", password: "correct horse" }

const print = (title: string, lines: ReadonlyArray<string>) =>
  Console.log([`\n${title}`, ...lines.map((line) => `  ${line}`)].join("\n"))

/** The members of an index, and theirs, indented. */
const tree = (
  store: OciLayout.OciLayout,
  descriptor: Descriptor.Descriptor,
  indent = ""
): Effect.Effect<ReadonlyArray<string>, Error> =>
  Effect.gen(function*() {
    const platform = descriptor.platform === undefined
      ? ""
      : ` ${descriptor.platform.os}/${descriptor.platform.architecture}`
    const line = `${indent}${
      descriptor.digest.slice(0, 19)
    } ${descriptor.mediaType}${platform} ${descriptor.size} bytes`
    const parts = yield* Stream.runCollect(store.fetch(descriptor))
    const document = Document.parse(Buffer.concat(parts), descriptor.mediaType)
    const members = document._tag === "Success" ? Document.successors(document.success) : []
    const below = yield* Effect.forEach(members, (member) => tree(store, member, `${indent}  `))
    return [line, ...below.flat()]
  })

const program = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const first = yield* NodeRegistry.serve()
  const second = yield* NodeRegistry.serve({
    auth: { scheme: "bearer", users: { [user.name]: user.password } }
  })
  yield* print("Two registries", [`${first}, open to anybody`, `${second}, which asks for a token`])

  const main = Effect.gen(function*() {
    const remote = yield* Remote
    const memory = MemoryStore.make("memory")
    const image = yield* fromFiles(memory, ["linux/amd64", "linux/arm64"])

    const target = yield* remote.store(`${first}/demo/app`)
    const plan = yield* WriteGraph.plan(
      WriteGraph.to(target, Copy.roots(memory, image, { tags: [Tag.parseUnsafe("1.0")] }))
    )
    yield* print("The write graph: what must be there before what", WriteGraph.toMermaid(plan).trimEnd().split("\n"))
    const pushed = yield* WriteGraph.run(plan)
    yield* print("Pushed", [`${first}/demo/app:1.0@${image.digest}`, `${pushed.sent} sent, ${pushed.bytes} bytes`])

    const copied = yield* remote.copy(`${first}/demo/app:1.0`, `${second}/prod/app:stable`)
    yield* print("Copied", [String(copied.reference), `${copied.sent} sent, ${copied.bytes} bytes`])

    const mounted = yield* remote.copy(`${second}/prod/app:stable`, `${second}/mirror/app:stable`)
    yield* print("Copied within the registry", [
      String(mounted.reference),
      `${mounted.mounted} blobs mounted, none of their bytes sent; ${mounted.sent} manifests and tags sent`
    ])

    const again = yield* remote.copy(`${first}/demo/app:1.0`, `${second}/prod/app:stable`)
    yield* print("Copied again", [`${again.sent} sent: it was there`])

    const folder = yield* fs.makeTempDirectoryScoped({ prefix: "effect-oci-" })
    const layout = yield* OciLayout.make(folder)
    const source = yield* remote.store(`${second}/prod/app`)
    const pulled = yield* Copy.copy(source, layout, Tag.parseUnsafe("stable"), { tags: [Tag.parseUnsafe("stable")] })
    yield* print("Pulled to an OCI layout, every byte verified", yield* tree(layout, pulled.descriptor))
    const isSame = pulled.descriptor.digest === image.digest
    yield* print(isSame ? "The digest is the one that was pushed" : "The digests differ!", [pulled.descriptor.digest])
    if (!isSame) return yield* Effect.die(new Error("the digests differ"))
  })

  yield* main.pipe(Effect.provide(
    NodeOci.layerWith(Keychain.layerMemory([[second, Credential.basic(user.name, user.password)]]))
  ))
})

program.pipe(Effect.scoped, Effect.provide(Layer.fresh(NodeOci.layer)), NodeRuntime.runMain)
