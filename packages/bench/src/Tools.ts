/**
 * The programs that are compared, and how each of them is told to do a thing.
 */
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

/** Our own command. */
export const bin = fileURLToPath(new URL("../../cli/bin.cjs", import.meta.url))

/** A program that asks for something small, again and again. */
export const requests = fileURLToPath(new URL("requests.ts", import.meta.url))

/** A server that keeps nothing, by Node alone. */
export const bare = fileURLToPath(new URL("bare.ts", import.meta.url))

/** The same by Effect. */
export const bareEffect = fileURLToPath(new URL("bareEffect.ts", import.meta.url))

/** A program that packages/interop has built by Go. */
export const built = (name: string): string =>
  fileURLToPath(new URL(`../../interop/.cache/bin/${name}`, import.meta.url))

type Argv = ReadonlyArray<string>

export interface Tool {
  readonly name: string
  /** Prints a version. */
  readonly version: Argv
  readonly copy?: (from: string, to: string) => Argv
  readonly pull?: (from: string, folder: string) => Argv
  readonly push?: (folder: string, to: string) => Argv
  readonly tags?: (repository: string) => Argv
  readonly digest?: (reference: string) => Argv
}

const us = [process.execPath, bin]
const crane = built("crane")
const regctl = built("regctl")
const oras = built("oras")
const skopeo = ["skopeo", "--insecure-policy"]

export const ours: Tool = {
  name: "effect-oci",
  version: [...us, "--version"],
  copy: (from, to) => [...us, "copy", from, to],
  pull: (from, folder) => [...us, "pull", from, folder],
  push: (folder, to) => [...us, "push", folder, to],
  tags: (repository) => [...us, "ls", repository],
  digest: (reference) => [...us, "digest", reference]
}

/** The one that all are compared with comes first. */
export const peers: ReadonlyArray<Tool> = [
  {
    name: "crane",
    version: [crane, "version"],
    copy: (from, to) => [crane, "copy", from, to],
    pull: (from, folder) => [crane, "pull", "--format=oci", from, folder],
    push: (folder, to) => [crane, "push", folder, to],
    tags: (repository) => [crane, "ls", repository],
    digest: (reference) => [crane, "digest", reference]
  },
  {
    name: "regctl",
    version: [regctl, "version", "--format", "{{.VCSTag}}"],
    copy: (from, to) => [regctl, "image", "copy", from, to],
    pull: (from, folder) => [regctl, "image", "copy", from, `ocidir://${folder}:1`],
    push: (folder, to) => [regctl, "image", "copy", `ocidir://${folder}:1`, to],
    tags: (repository) => [regctl, "tag", "ls", repository],
    digest: (reference) => [regctl, "image", "digest", reference]
  },
  {
    name: "oras",
    version: [oras, "version"],
    copy: (from, to) => [oras, "cp", "--no-tty", "--from-plain-http", "--to-plain-http", from, to],
    pull: (from, folder) => [oras, "cp", "--no-tty", "--from-plain-http", "--to-oci-layout", from, `${folder}:1`],
    push: (folder, to) => [oras, "cp", "--no-tty", "--to-plain-http", "--from-oci-layout", `${folder}:1`, to],
    tags: (repository) => [oras, "repo", "tags", "--plain-http", repository],
    digest: (reference) => [oras, "resolve", "--plain-http", reference]
  },
  {
    name: "skopeo",
    version: ["skopeo", "--version"],
    copy: (from, to) => [
      ...skopeo,
      "copy",
      "--all",
      "--src-tls-verify=false",
      "--dest-tls-verify=false",
      `docker://${from}`,
      `docker://${to}`
    ],
    pull: (
      from,
      folder
    ) => [...skopeo, "copy", "--all", "--src-tls-verify=false", `docker://${from}`, `oci:${folder}:1`],
    push: (folder, to) => [...skopeo, "copy", "--all", "--dest-tls-verify=false", `oci:${folder}:1`, `docker://${to}`],
    tags: (repository) => [...skopeo, "list-tags", "--tls-verify=false", `docker://${repository}`],
    digest: (
      reference
    ) => [...skopeo, "inspect", "--tls-verify=false", "--format", "{{.Digest}}", `docker://${reference}`]
  },
  {
    name: "oci-registry-client",
    version: [process.execPath, "-p", "\"npm 0.2.0\""],
    copy: (from, to) => [
      process.execPath,
      fileURLToPath(new URL("../peers/oci-registry-client.mjs", import.meta.url)),
      from,
      to
    ]
  }
]

/** What a tool says its version is; nothing where it is missing. */
export const versionOf = (tool: Tool): string | undefined => {
  const { error, status, stdout } = spawnSync(tool.version[0]!, tool.version.slice(1), { encoding: "utf8" })
  return error !== undefined || status !== 0 ? undefined : /v?\d+\.\d+\.\d+\S*/.exec(stdout)?.[0] ?? "?"
}
