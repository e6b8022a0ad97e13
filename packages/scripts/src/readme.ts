/**
 * Type-checks the examples of the READMEs: every ts fence is a module of its own.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Main from "./Main.ts"
import type { Problem } from "./Problem.ts"
import { CheckFailed, report } from "./Problem.ts"
import * as Tool from "./Tool.ts"
import * as Workspace from "./Workspace.ts"

const generated = "packages/examples/generated"

interface Fence {
  readonly info: string
  readonly line: number
  readonly lines: Array<string>
}

const fences = (markdown: string): ReadonlyArray<Fence> => {
  const found: Array<Fence> = []
  let open: Fence | undefined
  for (const [index, text] of markdown.split("\n").entries()) {
    if (open !== undefined && text.startsWith("```")) open = undefined
    else if (open !== undefined) open.lines.push(text)
    else if (text.startsWith("```")) found.push(open = { info: text.slice(3).trim(), line: index + 1, lines: [] })
  }
  return found
}

/**
 * The modules in a README, and what is wrong with its fences. The lines of a module keep the numbers that they have
 * in the README, so that an error in one is an error in the other.
 */
export const examples = (readme: Workspace.File) => {
  const stem = readme.path === "README.md" ? "root" : readme.path.split("/")[1]
  const code = fences(readme.text).filter(({ info }) => /^(ts|typescript)\b/.test(info))
  return {
    modules: code.map(({ line, lines }, index) => ({
      path: `${generated}/${stem}-${index + 1}.ts`,
      text: "\n".repeat(line) + lines.join("\n") + "\n",
      readme: readme.path
    })),
    problems: code.filter(({ info }) => info !== "ts").map(({ info, line }): Problem => ({
      file: readme.path,
      line,
      rule: `an example that is not checked rots: say ts, not ${info}`
    }))
  }
}

/**
 * Extracts the examples and type-checks them.
 */
export const main = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const { packages } = yield* Workspace.read
  const readmes = yield* Workspace.files("{README.md,packages/*/README.md}")
  const found = readmes.map(examples)
  const modules = found.flatMap((one) => one.modules)
  const bare = packages
    .filter((one) => one.manifest.private !== true && one.sources.length > 1)
    .map((one) => `packages/${one.folder}/README.md`)
    .filter((path) => !modules.some(({ readme }) => readme === path))
    .map((file): Problem => ({ file, line: 1, rule: "shows no example: every package has one that is type-checked" }))

  yield* fs.remove(generated, { recursive: true, force: true })
  yield* fs.makeDirectory(generated, { recursive: true })
  for (const { path, text } of modules) yield* fs.writeFileString(path, text)
  const { exitCode, text } = yield* Tool.output(
    "tsc",
    "-b",
    "packages/examples/tsconfig.readme.json",
    "--pretty",
    "false"
  )
  const named = modules.reduce((text, { path, readme }) => text.replaceAll(`${path}(`, `${readme}(`), text)
  if (named !== "") yield* Console.error(named.trimEnd())
  yield* report([...found.flatMap((one) => one.problems), ...bare])
  if (exitCode !== 0) return yield* new CheckFailed({ message: "the examples of the READMEs do not type-check" })
  yield* Console.log(`${modules.length} examples in ${readmes.length} READMEs`)
})

if (import.meta.main) Main.run(main)
