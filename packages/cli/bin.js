#!/usr/bin/env node
import module from "node:module"

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
if (major > 22 || major === 22 && minor >= 19) {
  // What V8 has compiled once is kept for the next start.
  module.enableCompileCache?.()
  await import("./dist/bundle/effect-oci.js")
} else {
  console.error(`effect-oci: Node ${process.versions.node} is too old\n  It needs 22.19 or later.`)
  process.exitCode = 1
}
