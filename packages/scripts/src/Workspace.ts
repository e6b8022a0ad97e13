/**
 * The packages of this repository, as the checks see them.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"

const Versions = Schema.optional(Schema.Record(Schema.String, Schema.String))

/**
 * What the checks read of a package.json.
 */
export const Manifest = Schema.Struct({
  name: Schema.String,
  private: Schema.optional(Schema.Boolean),
  exports: Schema.optional(Schema.Unknown),
  dependencies: Versions,
  devDependencies: Versions,
  peerDependencies: Versions
})

const ManifestFromJson = Schema.fromJsonString(Manifest)

const TsConfigFromJson = Schema.fromJsonString(Schema.Struct({
  references: Schema.optional(Schema.Array(Schema.Struct({ path: Schema.String })))
}))

/**
 * A file: its path from the repository's root, with slashes, and its text.
 */
export interface File {
  readonly path: string
  readonly text: string
}

/**
 * A package: the folder under `packages/` that it lives in, its manifest, the folders that its tsconfig.json
 * refers to, and its sources.
 */
export interface Package {
  readonly folder: string
  readonly manifest: typeof Manifest.Type
  readonly manifestText: string
  readonly references: ReadonlyArray<string>
  readonly sources: ReadonlyArray<File>
}

/**
 * The root's manifest and every package.
 */
export interface Workspace {
  readonly root: typeof Manifest.Type
  readonly packages: ReadonlyArray<Package>
}

/**
 * Files that match a pattern, read.
 */
export const files = Effect.fnUntraced(function*(pattern: string) {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* fs.glob(pattern, { exclude: ["**/node_modules/**"] })
  return yield* Effect.forEach(
    paths,
    (path) => Effect.map(fs.readFileString(path), (text): File => ({ path, text })),
    { concurrency: 16 }
  )
})

const folderOf = (path: string): string => path.split("/")[1] ?? ""

/**
 * Reads the workspace in the current directory, the repository's root.
 */
export const read = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const root = yield* Schema.decodeEffect(ManifestFromJson)(yield* fs.readFileString("package.json"))
  const sources = yield* files("packages/*/src/**/*.ts")
  const packages: Array<Package> = []
  for (const { path, text } of yield* files("packages/*/package.json")) {
    const folder = folderOf(path)
    const tsconfig = yield* fs.readFileString(`packages/${folder}/tsconfig.json`)
    const { references = [] } = yield* Schema.decodeEffect(TsConfigFromJson)(tsconfig)
    packages.push({
      folder,
      manifest: yield* Schema.decodeEffect(ManifestFromJson)(text),
      manifestText: text,
      references: references.map((reference) => reference.path.replace(/^\.\.\//, "")),
      sources: sources.filter((source) => folderOf(source.path) === folder)
    })
  }
  return { root, packages } satisfies Workspace
})
