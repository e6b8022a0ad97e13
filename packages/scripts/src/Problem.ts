/**
 * What a check found wrong, and where.
 */
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"

/**
 * One finding: a file from the repository's root, a line from 1, and the rule that is broken.
 */
export interface Problem {
  readonly file: string
  readonly line: number
  readonly rule: string
}

/**
 * A check that did not pass. The message is one line; the findings have been printed before.
 */
export class CheckFailed extends Data.TaggedError("CheckFailed")<{ readonly message: string }> {}

/**
 * A finding as editors and terminals understand it.
 */
export const format = (problem: Problem): string => `${problem.file}:${problem.line}: ${problem.rule}`

/**
 * Prints findings and fails when there are any.
 */
export const report = Effect.fnUntraced(function*(problems: ReadonlyArray<Problem>) {
  for (const problem of problems) yield* Console.error(format(problem))
  if (problems.length > 0) {
    return yield* new CheckFailed({ message: `${problems.length} problem${problems.length === 1 ? "" : "s"}` })
  }
})

/**
 * The line, from 1, that an offset of a text is on.
 */
export const lineAt = (text: string, offset: number): number => text.slice(0, Math.max(offset, 0)).split("\n").length
