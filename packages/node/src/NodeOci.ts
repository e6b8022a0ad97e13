/**
 * Everything that a program needs on Node, in one layer.
 *
 * @since 1.0.0
 */
import * as CloudKeychain from "@effect-oci/authn/CloudKeychain"
import * as Keychain from "@effect-oci/authn/Keychain"
import * as MachineKeychain from "@effect-oci/authn/MachineKeychain"
import * as Remote from "@effect-oci/remote/Remote"
import * as MachineOrigins from "@effect-oci/transport/MachineOrigins"
import * as Transport from "@effect-oci/transport/Transport"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NodeCompression from "./NodeCompression.ts"
import * as NodeFileWriter from "./NodeFileWriter.ts"
import * as NodeHasher from "./NodeHasher.ts"
import * as NodeLane from "./NodeLane.ts"

/**
 * Registries over `NodeLane`, hashing by `node:crypto` and compressing by `node:zlib`, with the credentials of a keychain.
 *
 * @category layers
 * @since 1.0.0
 */
export const layerWith = <E, R>(keychain: Layer.Layer<Keychain.Keychain, E, R>) =>
  Remote.layer.pipe(
    Layer.provideMerge(Transport.layer),
    Layer.provideMerge(keychain),
    Layer.provideMerge(NodeLane.layer),
    Layer.provideMerge(NodeCompression.layer),
    Layer.provideMerge(NodeHasher.layer),
    Layer.provideMerge(NodeFileWriter.layer),
    Layer.provideMerge(NodeServices.layer)
  )

/**
 * The credentials of the machine, and of the clouds that `EFFECT_OCI_KEYCHAINS` names.
 *
 * @category layers
 * @since 1.0.0
 */
export const keychain = Layer.unwrap(Effect.gen(function*() {
  return Keychain.layer(Keychain.firstOf(yield* MachineKeychain.make(), yield* CloudKeychain.make))
}))

/**
 * Registries over `NodeLane`, hashing by `node:crypto` and compressing by `node:zlib`, with the credentials of `keychain`, and
 * the machine's certificates, proxies and mirrors.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer = layerWith(keychain).pipe(
  Layer.provide(Layer.provide(MachineOrigins.layer, NodeServices.layer))
)
