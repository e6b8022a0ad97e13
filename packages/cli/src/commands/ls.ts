import { Remote } from "@effect-oci/remote/Remote"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { printable, report } from "../Failed.ts"

export const ls = Command.make(
  "ls",
  { repository: Argument.String("REPO") },
  ({ repository }) =>
    report(Effect.gen(function*() {
      const remote = yield* Remote
      yield* Stream.runForEach(remote.list(repository), (tag) => Console.log(printable(tag)))
    }))
).pipe(Command.withDescription("Lists the tags of a repository"))
