import * as Extent from "@effect-oci/remote/Extent"
import { Remote } from "@effect-oci/remote/Remote"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { printable, report } from "../Failed.ts"
import * as Flags from "../Flags.ts"
import * as Output from "../Output.ts"

export const ls = Command.make("ls", {
  repository: Flags.repository,
  noDigestTags: Flags.toggle("no-digest-tags", "leaves out tags that are made of a digest, as cosign's are"),
  json: Flags.json
}, ({ json, noDigestTags, repository }) =>
  report(Effect.gen(function*() {
    const remote = yield* Remote
    const tags = Stream.filter(remote.list(repository), (tag) => !noDigestTags || !Extent.isDigestTag(tag))
    yield* Output.lines(tags, (tag) => json ? JSON.stringify({ tag }) : printable(tag))
  }))).pipe(Command.withDescription("Lists the tags of a repository"))
