/**
 * Everything that a program needs on Node, in one layer.
 *
 * @since 1.0.0
 */
import type * as Keychain from "@effect-oci/authn/Keychain"
import * as MachineKeychain from "@effect-oci/authn/MachineKeychain"
import * as Remote from "@effect-oci/remote/Remote"
import * as Transport from "@effect-oci/transport/Transport"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Layer from "effect/Layer"
import * as NodeCompression from "./NodeCompression.ts"
import * as NodeHasher from "./NodeHasher.ts"
import * as NodeHttp from "./NodeHttp.ts"

/**
 * Registries over undici, hashing by `node:crypto` and compressing by `node:zlib`, with the credentials of a keychain.
 *
 * @category layers
 * @since 1.0.0
 */
export const layerWith = <E, R>(keychain: Layer.Layer<Keychain.Keychain, E, R>) =>
  Remote.layer.pipe(
    Layer.provideMerge(Transport.layer),
    Layer.provideMerge(NodeHttp.layer),
    Layer.provideMerge(keychain),
    Layer.provideMerge(NodeCompression.layer),
    Layer.provideMerge(NodeHasher.layer),
    Layer.provideMerge(NodeServices.layer)
  )

/**
 * Registries over undici, hashing by `node:crypto` and compressing by `node:zlib`, with the credentials of the machine.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer = layerWith(MachineKeychain.layer)
