/**
 * What the thread of `NodePasswords` runs: it answers one question after the other.
 */
import { compareSync } from "bcryptjs"
import { parentPort } from "node:worker_threads"

export interface Question {
  readonly password: string
  readonly hash: string
}

parentPort?.on("message", ({ hash, password }: Question) => {
  parentPort?.postMessage(compareSync(password, hash))
})
