/**
 * Media types, OCI's and Docker's, each spelled once.
 *
 * OCI image specification 1.1, "Media Types"; Docker's "Image Manifest Version 2, Schema 2".
 *
 * @since 1.0.0
 */

/**
 * @category constants
 * @since 1.0.0
 */
export const ociManifest = "application/vnd.oci.image.manifest.v1+json"
/**
 * @category constants
 * @since 1.0.0
 */
export const ociIndex = "application/vnd.oci.image.index.v1+json"
/**
 * @category constants
 * @since 1.0.0
 */
export const ociConfig = "application/vnd.oci.image.config.v1+json"
/**
 * @category constants
 * @since 1.0.0
 */
export const ociEmpty = "application/vnd.oci.empty.v1+json"
/**
 * @category constants
 * @since 1.0.0
 */
export const ociLayer = "application/vnd.oci.image.layer.v1.tar"
/**
 * @category constants
 * @since 1.0.0
 */
export const ociLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip"
/**
 * @category constants
 * @since 1.0.0
 */
export const ociLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd"
/**
 * @category constants
 * @since 1.0.0
 */
export const ociLayerNondistributable = "application/vnd.oci.image.layer.nondistributable.v1.tar"
/**
 * @category constants
 * @since 1.0.0
 */
export const ociLayerNondistributableGzip = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
/**
 * @category constants
 * @since 1.0.0
 */
export const ociLayerNondistributableZstd = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
/**
 * @category constants
 * @since 1.0.0
 */
export const dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
/**
 * @category constants
 * @since 1.0.0
 */
export const dockerManifestList = "application/vnd.docker.distribution.manifest.list.v2+json"
/**
 * @category constants
 * @since 1.0.0
 */
export const dockerConfig = "application/vnd.docker.container.image.v1+json"
/**
 * @category constants
 * @since 1.0.0
 */
export const dockerLayer = "application/vnd.docker.image.rootfs.diff.tar"
/**
 * @category constants
 * @since 1.0.0
 */
export const dockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip"
/**
 * @category constants
 * @since 1.0.0
 */
export const dockerForeignLayer = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
/**
 * @category constants
 * @since 1.0.0
 */
export const dockerSchema1 = "application/vnd.docker.distribution.manifest.v1+json"
/**
 * @category constants
 * @since 1.0.0
 */
export const dockerSchema1Signed = "application/vnd.docker.distribution.manifest.v1+prettyjws"

const foreign = new Set<string>([
  dockerForeignLayer,
  ociLayerNondistributable,
  ociLayerNondistributableGzip,
  ociLayerNondistributableZstd
])
const layers = new Set<string>([ociLayer, ociLayerGzip, ociLayerZstd, dockerLayer, dockerLayerGzip, ...foreign])

/**
 * What a client takes when it asks for a manifest, best first.
 *
 * @category constants
 * @since 1.0.0
 */
export const manifestTypes: ReadonlyArray<string> = [
  ociIndex,
  ociManifest,
  dockerManifestList,
  dockerManifest,
  dockerSchema1Signed,
  dockerSchema1
]

/**
 * An image manifest, OCI's or Docker's.
 *
 * @category predicates
 * @since 1.0.0
 */
export const isManifest = (mediaType: string): boolean => mediaType === ociManifest || mediaType === dockerManifest

/**
 * An image index or manifest list.
 *
 * @category predicates
 * @since 1.0.0
 */
export const isIndex = (mediaType: string): boolean => mediaType === ociIndex || mediaType === dockerManifestList

/**
 * Docker's schema 1, which is passed on and never read.
 *
 * @category predicates
 * @since 1.0.0
 */
export const isSchema1 = (mediaType: string): boolean =>
  mediaType === dockerSchema1 || mediaType === dockerSchema1Signed

/**
 * Anything that a registry keeps as a manifest rather than as a blob.
 *
 * @category predicates
 * @since 1.0.0
 */
export const isDocument = (mediaType: string): boolean =>
  isManifest(mediaType) || isIndex(mediaType) || isSchema1(mediaType)

/**
 * An image config.
 *
 * @category predicates
 * @since 1.0.0
 */
export const isConfig = (mediaType: string): boolean => mediaType === ociConfig || mediaType === dockerConfig

/**
 * A layer of an image's file system.
 *
 * @category predicates
 * @since 1.0.0
 */
export const isLayer = (mediaType: string): boolean => layers.has(mediaType)

/**
 * A layer that is meant to stay where its `urls` say.
 *
 * @category predicates
 * @since 1.0.0
 */
export const isForeign = (mediaType: string): boolean => foreign.has(mediaType)

/**
 * The media type of a `Content-Type`, without its parameters, in lower case.
 *
 * @category decoding
 * @since 1.0.0
 */
export const withoutParameters = (contentType: string): string => {
  const semicolon = contentType.indexOf(";")
  return (semicolon === -1 ? contentType : contentType.slice(0, semicolon)).trim().toLowerCase()
}
