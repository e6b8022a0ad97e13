/**
 * Runs the bundle with what V8 had compiled of it when the same command ran before.
 *
 * Node's own compile cache holds a module as it is before anything of it has run, so that each function is compiled again when
 * it is called first: a fifth of what a short command costs. What is kept here is taken when a command has ended, one for
 * each command. It is code: only a folder that nobody else can write to is believed, and only a file that is whole.
 */
const { createHash } = require("node:crypto")
const fs = require("node:fs")
const { createRequire, enableCompileCache } = require("node:module")
const { homedir, tmpdir } = require("node:os")
const path = require("node:path")
const v8 = require("node:v8")
const { constants, Script } = require("node:vm")

const bundle = path.join(__dirname, "dist/bundle")

/** One file after the other is read into the same memory: new memory costs more than what is read into it. */
let memory = Buffer.alloc(0)
const read = (file) => {
  const handle = fs.openSync(file)
  try {
    const { size } = fs.fstatSync(handle)
    if (size > memory.length) memory = Buffer.allocUnsafeSlow(2 * size)
    let end = 0
    for (let count = -1; count !== 0 && end < size; end += count) {
      count = fs.readSync(handle, memory, end, size - end, end)
    }
    return memory.subarray(0, end)
  } finally {
    fs.closeSync(handle)
  }
}

const ofUser = () => {
  const { LOCALAPPDATA, XDG_CACHE_HOME } = process.env
  if (process.platform === "win32" && LOCALAPPDATA !== undefined) return LOCALAPPDATA
  if (XDG_CACHE_HOME !== undefined && path.isAbsolute(XDG_CACHE_HOME)) return XDG_CACHE_HOME
  const home = homedir()
  // Users of the system have none on purpose, and are not to get one.
  return fs.existsSync(home) ? path.join(home, process.platform === "darwin" ? "Library/Caches" : ".cache") : undefined
}

/** Makes a folder that only its owner can write to; nothing where there is one already that others can, or cannot be one. */
const ownFolder = (folder) => {
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
    if (process.platform === "win32") return folder
    const { mode, uid } = fs.lstatSync(folder)
    return uid === process.getuid() && (mode & 0o170022) === 0o040000 ? folder : undefined
  } catch {
    return undefined
  }
}

/** Where no home is, or none that can be written to, there is the folder for temporary files. */
const folderFor = (key) => {
  if (process.env.NODE_DISABLE_COMPILE_CACHE !== undefined) return undefined
  const user = ofUser()
  const root = (user === undefined ? undefined : ownFolder(path.join(user, "effect-oci"))) ??
    ownFolder(path.join(tmpdir(), `effect-oci-${process.getuid?.() ?? ""}`))
  if (root === undefined) return undefined
  const folder = path.join(root, key)
  if (!fs.existsSync(folder)) forget(root)
  return ownFolder(folder)
}

/** What versions of long ago have left, unless another command has just removed it. */
const forget = (root) => {
  const longAgo = Date.now() - 30 * 24 * 3600 * 1000
  try {
    for (const name of fs.readdirSync(root)) {
      const folder = path.join(root, name)
      if (/^[0-9a-f]{16}$/.test(name) && fs.lstatSync(folder).mtimeMs < longAgo) {
        fs.rmSync(folder, { recursive: true, force: true })
      }
    }
  } catch {
    // The next one does.
  }
}

const entry = fs.readFileSync(path.join(bundle, "entry"), "utf8")
const command = process.argv.slice(2).find((word) => /^[a-z][a-z-]{0,19}$/.test(word)) ?? ""
// What V8 compiles fits the one that has compiled it, and the flags that it was given.
const key = createHash("sha256")
  .update([entry, process.version, process.arch, ...process.execArgv].join("\n"))
  .digest("hex").slice(0, 16)
const folder = folderFor(key)
const keptIn = (name) => path.join(folder, `${command}-${name}.bin`)

const sumOf = (data) => createHash("sha256").update(data).digest()

const readKept = (name) => {
  try {
    const bytes = read(keptIn(name))
    const data = bytes.subarray(32)
    return sumOf(data).equals(bytes.subarray(0, 32)) ? data : undefined
  } catch {
    return undefined
  }
}

const keep = (name, script) => {
  const temporary = `${keptIn(name)}.${process.pid}`
  try {
    const data = script.createCachedData()
    fs.writeFileSync(temporary, Buffer.concat([sumOf(data), data]), { mode: 0o600, flag: "wx" })
    fs.renameSync(temporary, keptIn(name))
  } catch {
    // The next start takes a little longer.
    try {
      fs.rmSync(temporary, { force: true })
    } catch {
      // Nor can it be removed.
    }
  }
}

/**
 * Most commands have ended before optimised code has paid for what it takes to make: of a copy of a hundred small blobs that is a
 * tenth of the processor time, on cores that others want as well. So in the first second only what is run very often is
 * optimised, such as the loops that read JSON, and that by Maglev. The number is that of one version of V8.
 */
const isKnown = process.versions.v8.startsWith("13.6.") && process.execArgv.length === 0
const optimise = (is) => {
  if (!isKnown) return
  v8.setFlagsFromString(is ? "--opt" : "--no-opt")
  v8.setFlagsFromString(`--invocation-count-for-maglev=${is ? 400 : 4000}`)
}
let isEarly = false

/** Those of which nothing was kept. */
const fresh = new Map()
const loaded = new Map()

/** A part of the bundle: a function with the parameters of CommonJS, in ASCII. */
const load = (name) => {
  const known = loaded.get(name)
  if (known !== undefined) return known.exports
  const part = { exports: {} }
  loaded.set(name, part)
  const filename = path.join(bundle, name)
  const source = read(filename).latin1Slice()
  const cachedData = folder === undefined ? undefined : readKept(name)
  if (isEarly) optimise(true)
  const script = new Script(source, {
    filename,
    cachedData,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER
  })
  if (isEarly) optimise(false)
  if (cachedData === undefined || script.cachedDataRejected === true) fresh.set(name, script)
  script.runInThisContext()(part.exports, requireOf(filename), part, filename)
  return part.exports
}

const requireOf = (filename) => {
  const outside = createRequire(filename)
  return (id) => id.startsWith("./") ? load(id.slice(2)) : outside(id)
}

if (folder !== undefined) {
  // What is not in the bundle.
  enableCompileCache?.(folder)
  process.once("exit", () => {
    // What is kept fits the flags that it was made with, and has to fit those of the start; `serve` sets the last one.
    optimise(true)
    v8.setFlagsFromString("--semi-space-growth-factor=2")
    fresh.forEach((script, name) => keep(name, script))
  })
}
load(entry)
// A server is there for longer.
if (command !== "serve") {
  isEarly = true
  optimise(false)
  setTimeout(() => {
    isEarly = false
    optimise(true)
  }, 1000).unref()
}
