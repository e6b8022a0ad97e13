import * as Reference from "@effect-oci/name/Reference"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Failed } from "../Failed.ts"
import * as Flags from "../Flags.ts"

const describe = (input: string) =>
  Result.match(Reference.parse(input), {
    onFailure: (error) => ({ reference: input, error: error.message }),
    onSuccess: ({ digest, repository, tag }) => ({
      reference: input,
      registry: repository.registry.name,
      repository: repository.path,
      tag: tag ?? null,
      digest: digest ?? null
    })
  })

export const ref = Command.make("ref", {
  references: Flags.reference.pipe(Argument.variadic({ min: 1 }))
}, ({ references }) =>
  Effect.gen(function*() {
    const described = references.map(describe)
    yield* Effect.forEach(described, (line) => Console.log(JSON.stringify(line)), { discard: true })
    if (described.some((line) => "error" in line)) return yield* new Failed()
  })).pipe(Command.withDescription("Parses references: one line of JSON for each"))
