/**
 * A parser and its inverse as the two directions of a Schema.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import type { NameError } from "../NameError.ts"

export const fromResult = <A>(parse: (input: string) => Result.Result<A, NameError>, format: (value: A) => string) => ({
  decode: (input: string, options: SchemaAST.ParseOptions): Effect.Effect<A, SchemaIssue.Issue> =>
    Result.match(parse(input), {
      onFailure: (error) => Effect.fail(new SchemaIssue.InvalidValue({ message: error.message }, input, options)),
      onSuccess: Effect.succeed
    }),
  encode: (value: A): Effect.Effect<string> => Effect.succeed(format(value))
})
