/**
 * What several commands can be told, in the same words.
 *
 * @since 1.0.0
 */
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"

const toggle = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))

/**
 * For what is in registries alone.
 *
 * @category arguments
 * @since 1.0.0
 */
export const inRegistry = Argument.filter(
  (text: string) => !text.startsWith("oci:"),
  () => "something in a registry, not a folder"
)

/**
 * A layout folder, which is written with `oci:` only where a reference could be as well.
 *
 * @category arguments
 * @since 1.0.0
 */
export const folder = (description: string) =>
  Argument.String("DIR").pipe(
    Argument.withDescription(description),
    Argument.filter((text) => text !== "" && !text.startsWith("oci:"), () => "the path of a folder, without oci:")
  )

/**
 * What is meant, by tag or digest.
 *
 * @category arguments
 * @since 1.0.0
 */
export const reference = Argument.String("REF").pipe(
  Argument.withDescription(
    "[host/]repository[:tag][@digest]; Docker Hub's where there is no host, latest where nothing is said"
  ),
  inRegistry
)

/**
 * What is meant, by digest alone.
 *
 * @category arguments
 * @since 1.0.0
 */
export const content = Argument.String("REPO@DIGEST").pipe(
  Argument.withDescription("a repository, and the digest of what is in it"),
  inRegistry
)

/**
 * A repository, all of it.
 *
 * @category arguments
 * @since 1.0.0
 */
export const repository = Argument.String("REPO").pipe(
  Argument.withDescription("[host/]repository; Docker Hub's where there is no host"),
  inRegistry
)

const positive = Flag.filter((value: number) => value >= 1, () => "1 or more")

/**
 * Whether what is printed is for programs.
 *
 * @category flags
 * @since 1.0.0
 */
export const json = toggle("json", "prints JSON, one value a line")

/**
 * How much is copied.
 *
 * @category flags
 * @since 1.0.0
 */
export const extent = {
  platforms: Flag.String("platform").pipe(
    Flag.withDescription("only this platform of an index, os/architecture[/variant]; may be given several times"),
    Flag.between(0, 64)
  ),
  referrers: toggle("referrers", "also what refers to it and its members: signatures, SBOMs and the like"),
  digestTags: toggle("digest-tags", "also what is tagged with its digest, as cosign does"),
  foreign: toggle("foreign", "also layers that are meant to stay where their urls say"),
  concurrency: Flag.Int("concurrency").pipe(
    Flag.withDescription(
      "how many requests and transfers go on at once; 128 unless told, and 16 of them at most move much"
    ),
    positive,
    Flag.withDefault(128)
  )
}

/**
 * Whether nothing is written.
 *
 * @category flags
 * @since 1.0.0
 */
export const dryRun = toggle("dry-run", "writes nothing, and says what would be written")

/**
 * A switch of one command.
 *
 * @category flags
 * @since 1.0.0
 */
export { positive, toggle }
