/**
 * What a registry has from the start.
 *
 * @since 1.0.0
 */
import type * as Digest from "@effect-oci/name/Digest"
import type * as Tag from "@effect-oci/name/Tag"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Effect from "effect/Effect"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type { Content } from "./FakeImage.ts"
import * as InProcess from "./internal/inProcess.ts"
import * as RegistryServer from "./RegistryServer.ts"
import * as Settings from "./Settings.ts"
import { Storage } from "./Storage.ts"

/**
 * Content by its reference: under a tag if that has one, else only by digest.
 *
 * @category models
 * @since 1.0.0
 */
export type Seed = Readonly<Record<string, Content | Effect.Effect<Content>>>

/**
 * Puts content into a repository of a storage, under a tag if there is one. Whatever is wrong with it is a defect.
 *
 * **Details**
 *
 * It goes through the endpoints, so that nothing can be there that could not be pushed; but content may leave out what it
 * names, and be as large as it likes.
 *
 * @category seeding
 * @since 1.0.0
 */
export const put = Effect.fnUntraced(function*(
  storage: Storage["Service"],
  to: {
    readonly repository: string
    readonly tag?: Tag.Tag | undefined
    readonly digest?: Digest.Digest | undefined
  },
  given: Content | Effect.Effect<Content>
): Effect.fn.Return<Descriptor.Descriptor> {
  const content = Effect.isEffect(given) ? yield* given : given
  const send = Effect.fnUntraced(function*(request: HttpClientRequest.HttpClientRequest) {
    const reply = yield* RegistryServer.app.pipe(
      Effect.provideService(Storage, storage),
      Effect.provideService(Settings.Settings, { ...Settings.defaults, incomplete: true, manifestLimit: Infinity }),
      Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromClientRequest(request))
    )
    if (reply.status !== 201) {
      return yield* Effect.die(new Error(`seed ${to.repository}: ${InProcess.textOf(reply)}`))
    }
  })
  const path = `/v2/${to.repository}`
  for (const { bytes, descriptor } of content.blobs) {
    yield* send(
      HttpClientRequest.post(`${path}/blobs/uploads/?digest=${descriptor.digest}`).pipe(
        HttpClientRequest.bodyUint8Array(bytes)
      )
    )
  }
  for (const { bytes, descriptor } of content.manifests) {
    const isRoot = descriptor.digest === content.root.digest
    const identifier = (isRoot ? to.digest : undefined) ?? descriptor.digest
    yield* send(
      HttpClientRequest.put(`${path}/manifests/${identifier}${isRoot && to.tag ? `?tag=${to.tag}` : ""}`).pipe(
        HttpClientRequest.bodyUint8Array(bytes, descriptor.mediaType)
      )
    )
  }
  return content.root
})
