/**
 * Copies an image by the npm package `oci-registry-client`: the manifest's layers and config, one after the other, as its own
 * documentation does. It does not hash what it copies.
 */
/* eslint-disable no-await-in-loop */
import { parseRepo, RegistryClientV2 } from "oci-registry-client"

const client = (reference) => {
  const [, host, path, ref] = /^([^/]+)\/(.+):([^:/]+)$/.exec(reference)
  return { ref, registry: new RegistryClientV2({ repo: parseRepo(`${host}/${path}`), insecure: true, scheme: "http" }) }
}

const from = client(process.argv[2])
const to = client(process.argv[3])
const { manifest, resp } = await from.registry.getManifest({ ref: from.ref, acceptOCIManifests: true })
for (const { digest, size } of [...manifest.layers, manifest.config]) {
  const { stream } = await from.registry.createBlobReadStream({ digest })
  await to.registry.blobUpload({ digest, contentLength: size, stream })
}
await to.registry.putManifest({
  manifestData: JSON.stringify(manifest),
  ref: to.ref,
  mediaType: resp.headers.get("content-type")
})
