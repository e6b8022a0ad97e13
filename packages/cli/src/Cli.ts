/**
 * The `effect-oci` command: what it can be told, and what each of it does.
 *
 * @since 1.0.0
 */
import * as RetryPolicy from "@effect-oci/transport/RetryPolicy"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import { attach } from "./commands/attach.ts"
import { auth } from "./commands/auth.ts"
import { blob } from "./commands/blob.ts"
import { catalog } from "./commands/catalog.ts"
import { config } from "./commands/config.ts"
import { copy } from "./commands/copy.ts"
import { remove } from "./commands/delete.ts"
import { digest } from "./commands/digest.ts"
import { ls } from "./commands/ls.ts"
import { manifest } from "./commands/manifest.ts"
import { plan } from "./commands/plan.ts"
import { pull } from "./commands/pull.ts"
import { push } from "./commands/push.ts"
import { ref } from "./commands/ref.ts"
import { referrers } from "./commands/referrers.ts"
import { serve } from "./commands/serve.ts"
import { sync } from "./commands/sync.ts"
import { tag } from "./commands/tag.ts"
import { untag } from "./commands/untag.ts"
import { presenter, unexpected } from "./Failed.ts"
import * as Waits from "./Waits.ts"

/**
 * The command with all its subcommands.
 *
 * @category commands
 * @since 1.0.0
 */
export const command = Command.make("effect-oci").pipe(
  Command.withDescription("Reads, writes and copies OCI images and artifacts, from registry to registry"),
  Command.withSubcommands([
    copy,
    sync,
    plan,
    pull,
    push,
    digest,
    manifest,
    config,
    blob,
    ls,
    catalog,
    tag,
    untag,
    remove,
    referrers,
    attach,
    ref,
    auth,
    serve
  ])
)

/**
 * Runs the command with the arguments of the process.
 *
 * @category running
 * @since 1.0.0
 */
export const run = Effect.gen(function*() {
  const args = yield* (yield* Stdio.Stdio).args
  return yield* Command.run(command, { version: "0.0.0" }).pipe(
    Effect.provideService(RetryPolicy.OnWait, Waits.tell(Waits.readerOf(args, process.stderr.isTTY)))
  )
}).pipe(
  unexpected,
  Effect.provideService(CliOutput.Presenter, presenter)
)
