/**
 * A reader of documents and its inverse as the two directions of a Schema.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import type { SpecError } from "../SpecError.ts"

export const fromResult = <A, I>(read: (input: I) => Result.Result<A, SpecError>, write: (value: A) => I) =>
  SchemaTransformation.transformEffect({
    decode: (input: I, options: SchemaAST.ParseOptions): Effect.Effect<A, SchemaIssue.Issue> =>
      Result.match(read(input), {
        onFailure: (error) => Effect.fail(new SchemaIssue.InvalidValue({ message: error.message }, input, options)),
        onSuccess: Effect.succeed
      }),
    encode: (value: A): Effect.Effect<I> => Effect.succeed(write(value))
  })
