#!/usr/bin/env node
import module from "node:module"

// What V8 has compiled once is kept for the next start.
module.enableCompileCache?.()
await import("./dist/bundle/effect-oci.js")
