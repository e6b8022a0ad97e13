#!/usr/bin/env node
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
if (major > 22 || major === 22 && minor >= 19) {
  require("./load.cjs")
} else {
  console.error(`effect-oci: Node ${process.versions.node} is too old\n  It needs 22.19 or later.`)
  process.exitCode = 1
}
