/**
 * Checks that every package stays in its room: that imports follow the arrows of the design, that manifests and
 * project references say what the imports say, and that certain words are said only where they belong.
 */
import * as Effect from "effect/Effect"
import { isBuiltin } from "node:module"
import * as path from "node:path/posix"
import * as Main from "./Main.ts"
import type { Problem } from "./Problem.ts"
import { lineAt, report } from "./Problem.ts"
import * as Said from "./Said.ts"
import * as Workspace from "./Workspace.ts"

/**
 * What a room may import of the others; `remote` and `registry` never import each other. Rooms that are not listed
 * are private and may import all.
 */
const arrows = new Map<string, ReadonlyArray<string> | "all">([
  ["name", []],
  ["spec", ["name"]],
  ["content", ["spec", "name"]],
  ["authn", ["name"]],
  ["transport", ["authn", "spec", "name"]],
  ["remote", ["transport", "content", "spec", "name"]],
  ["layout", ["content", "spec", "name"]],
  ["image", ["content", "spec", "name"]],
  ["registry", ["content", "spec", "name"]],
  ["node", ["registry", "image", "layout", "remote", "transport", "authn", "content", "spec", "name"]],
  ["cli", "all"],
  ["mirror", ["remote", "content", "spec", "name"]]
])

const onNode = ["node", "cli"]

/**
 * Words, and the rooms that may say them; private packages may say all but `process.env`.
 */
const words: ReadonlyArray<{
  readonly rule: string
  readonly rooms: ReadonlyArray<string>
  readonly evenPrivate?: true
  readonly said: (said: Said.Said) => boolean
}> = [
  {
    rule: `"/v2/" is said only in remote, transport and registry`,
    rooms: ["remote", "transport", "registry"],
    said: ({ kind, value }) => kind === "text" && value.includes("/v2/")
  },
  {
    rule: `"authorization" is said only in authn, transport and registry`,
    // authn: requests that are signed for AWS have no other form.
    rooms: ["authn", "transport", "registry"],
    said: ({ kind, value }) =>
      kind === "text" && /\bauthorization\b/i.test(value) || kind === "key" && /^authorization$/i.test(value)
  },
  {
    rule: "node: is imported only in node, cli and private packages",
    rooms: onNode,
    said: ({ kind, value }) => kind === "import" && isBuiltin(value)
  },
  {
    rule: "process is used only in node, cli and private packages",
    rooms: onNode,
    said: ({ kind, value }) => kind === "process" && value !== "env"
  },
  {
    rule: "process.env is used nowhere: Config reads the environment",
    rooms: [],
    evenPrivate: true,
    said: ({ kind, value }) => kind === "process" && value === "env"
  }
]

/** The npm package that a specifier names, or `undefined` for relative and built-in ones. */
const packageOf = (specifier: string): string | undefined =>
  specifier.startsWith(".") || isBuiltin(specifier)
    ? undefined
    : specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/")

const checkImport = (
  { folder, manifest }: Workspace.Package,
  { packages, root }: Workspace.Workspace,
  file: string,
  specifier: string
): ReadonlyArray<string> => {
  if (specifier.startsWith(".")) {
    return path.join(path.dirname(file), specifier).startsWith(`packages/${folder}/`)
      ? []
      : [`"${specifier}" leaves the package: import other rooms by their name`]
  }
  const name = packageOf(specifier)
  if (name === undefined) return []
  if (name === manifest.name) return [`"${specifier}" is this package: import "./${path.basename(specifier)}.ts"`]
  const other = packages.find((one) => one.manifest.name === name)?.folder
  const allowed = arrows.get(folder) ?? "all"
  if (other !== undefined && allowed !== "all" && !allowed.includes(other)) {
    return [`${folder} may not import ${other} (it may import: ${allowed.join(", ") || "nothing"})`]
  }
  const declared = {
    ...manifest.dependencies,
    ...manifest.peerDependencies,
    ...(manifest.private === true ? { ...root.devDependencies, ...manifest.devDependencies } : {})
  }
  return Object.hasOwn(declared, name)
    ? []
    : [`imports ${name}, which packages/${folder}/package.json does not declare`]
}

const checkSource = (
  one: Workspace.Package,
  workspace: Workspace.Workspace,
  source: Workspace.File,
  all: ReadonlyArray<Said.Said>
): ReadonlyArray<Problem> =>
  all.flatMap((said) =>
    [
      ...(said.kind === "import" ? checkImport(one, workspace, source.path, said.value) : []),
      ...words
        .filter((word) => !word.rooms.includes(one.folder) && (one.manifest.private !== true || word.evenPrivate))
        .filter((word) => word.said(said))
        .map((word) => word.rule)
    ].map((rule) => ({ file: source.path, line: lineAt(source.text, said.at), rule }))
  )

const checkManifest = (
  { folder, manifest, manifestText, references }: Workspace.Package,
  { packages }: Workspace.Workspace,
  imported: ReadonlySet<string | undefined>
): ReadonlyArray<Problem> => {
  const isPublic = manifest.private !== true
  const dependencies = Object.keys(manifest.dependencies ?? {})
  // A room without imports is not written yet.
  const idle = isPublic && imported.size > 0 ? dependencies.filter((name) => !imported.has(name)) : []
  const rooms = packages.filter((one) => dependencies.includes(one.manifest.name)).map((one) => one.folder)
  const inManifest = (word: string, rule: string): Problem => ({
    file: `packages/${folder}/package.json`,
    line: lineAt(manifestText, manifestText.indexOf(`"${word}"`)),
    rule
  })
  const inTsConfig = (rule: string): Problem => ({ file: `packages/${folder}/tsconfig.json`, line: 1, rule })
  return [
    ...(isPublic && !arrows.has(folder) ? [inManifest("name", `${folder} is not in the arrows of rooms.ts`)] : []),
    ...idle.map((name) => inManifest(name, `declares ${name}, which no source imports`)),
    ...rooms.filter((room) => !references.includes(room))
      .map((room) => inTsConfig(`has no reference to ../${room}, which package.json depends on`)),
    ...references.filter((room) => !rooms.includes(room))
      .map((room) => inTsConfig(`refers to ../${room}, which package.json does not depend on`))
  ]
}

/**
 * Everything wrong with the rooms of a workspace.
 */
export const check = (workspace: Workspace.Workspace): ReadonlyArray<Problem> =>
  workspace.packages.flatMap((one) => {
    const sources = one.sources.map((source) => ({ source, said: Said.inSource(source.path, source.text) }))
    const imports = sources.flatMap(({ said }) => said.filter(({ kind }) => kind === "import"))
    return [
      ...sources.flatMap(({ said, source }) => checkSource(one, workspace, source, said)),
      ...checkManifest(one, workspace, new Set(imports.map(({ value }) => packageOf(value))))
    ]
  })

/**
 * Reads the workspace, checks it and prints what is wrong.
 */
export const main = Effect.flatMap(Workspace.read, (workspace) => report(check(workspace)))

if (import.meta.main) Main.run(main)
