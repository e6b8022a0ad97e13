/**
 * What a source says: the modules that it imports, its texts, its keys and its uses of `process`. Comments say nothing.
 */
import { hasProperty, isString } from "effect/Predicate"
import { parseAst } from "rolldown/parseAst"

/**
 * Something said, and the offset it is said at.
 */
export interface Said {
  readonly kind: "import" | "text" | "key" | "process"
  readonly value: string
  readonly at: number
}

interface Node {
  readonly type: string
  readonly start: number
}

const isNode = (u: unknown): u is Node => hasProperty(u, "type") && isString(u.type) && hasProperty(u, "start")

const field = (node: unknown, name: string): unknown => hasProperty(node, name) ? node[name] : undefined

const identifier = (u: unknown): string | undefined => {
  const name = field(u, "type") === "Identifier" ? field(u, "name") : undefined
  return isString(name) ? name : undefined
}

const isProcess = (u: unknown): boolean =>
  identifier(u) === "process" ||
  (identifier(field(u, "object")) === "globalThis" && identifier(field(u, "property")) === "process")

const processModule = /^(node:)?process$/

const elements = (u: unknown): ReadonlyArray<unknown> => Array.isArray(u) ? u : []

const importing = new Set([
  "ImportDeclaration",
  "ExportNamedDeclaration",
  "ExportAllDeclaration",
  "ImportExpression",
  "TSImportType"
])

const saidBy = (node: Node): ReadonlyArray<Omit<Said, "at">> => {
  const said: Array<Omit<Said, "at">> = []
  const say = (kind: Said["kind"], value: unknown) => {
    if (isString(value)) said.push({ kind, value })
  }
  if (importing.has(node.type)) say("import", field(field(node, "source"), "value"))
  if (node.type === "TemplateElement") say("text", field(field(node, "value"), "cooked"))
  if (node.type === "Literal") {
    const pattern = field(field(node, "regex"), "pattern")
    say("text", isString(pattern) ? pattern.replaceAll("\\/", "/") : field(node, "value"))
  }
  if (field(node, "computed") === false) say("key", identifier(field(node, "key") ?? field(node, "property")))
  if (node.type === "ImportDeclaration" && processModule.test(String(field(field(node, "source"), "value")))) {
    for (const one of elements(field(node, "specifiers"))) say("process", identifier(field(one, "imported")))
  }
  if (node.type === "VariableDeclarator" && isProcess(field(node, "init"))) {
    for (const one of elements(field(field(node, "id"), "properties"))) say("process", identifier(field(one, "key")))
  }
  if (node.type === "MemberExpression" && isProcess(field(node, "object"))) {
    const property = field(node, "property")
    say("process", identifier(property) ?? field(property, "value") ?? "")
  }
  return said
}

/**
 * Everything that a TypeScript source says. Throws on a source that does not parse.
 */
export const inSource = (path: string, text: string): ReadonlyArray<Said> => {
  const said: Array<Said> = []
  const walk = (u: unknown): void => {
    if (Array.isArray(u)) return u.forEach(walk)
    if (!isNode(u)) return
    for (const one of saidBy(u)) said.push({ ...one, at: u.start })
    for (const child of Object.values(u)) if (typeof child === "object") walk(child)
  }
  walk(parseAst(text, { lang: "ts" }, path))
  return said
}
