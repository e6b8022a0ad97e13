/**
 * The tags of a repository, brought to another one: what is there already is left alone, and one that fails stops no other.
 *
 * @since 1.0.0
 */
import * as Budget from "@effect-oci/content/Budget"
import type { ContentError } from "@effect-oci/content/ContentError"
import type { CopyError } from "@effect-oci/content/CopyError"
import * as WriteGraph from "@effect-oci/content/WriteGraph"
import type * as Digest from "@effect-oci/name/Digest"
import type { NameError } from "@effect-oci/name/NameError"
import type { RegistryError } from "@effect-oci/transport/RegistryError"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Extent from "./Extent.ts"

/**
 * Options for a sync.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options extends Omit<Extent.Options, "tags" | "budget"> {
  /**
   * Only tags that one of these fits: a pattern with `*` and `?`, or a regular expression. All unless told, but for tags made
   * of digests, which `referrers` and `digestTags` take along with what they are about.
   */
  readonly include?: ReadonlyArray<string | RegExp> | undefined
  /**
   * No tags that one of these fits.
   *
   * @default []
   */
  readonly exclude?: ReadonlyArray<string | RegExp> | undefined
  /**
   * Writes nothing, and says what would be written.
   *
   * @default false
   */
  readonly dryRun?: boolean | undefined
  /**
   * How many tags are looked at and copied at once. `concurrency` is that of the requests of all of them.
   *
   * @default 4
   */
  readonly atOnce?: number | undefined
}

/**
 * What became of a tag.
 *
 * - `same`: it was there, with all that goes along
 * - `copied`: it is there now
 * - `planned`: it would be copied, were it not for `dryRun`
 * - `failed`: it was not copied, or not all of what goes along
 *
 * @category models
 * @since 1.0.0
 */
export type Synced =
  & { readonly tag: string }
  & (
    | { readonly outcome: "same"; readonly digest: Digest.Digest }
    | ({ readonly outcome: "copied"; readonly digest: Digest.Digest } & Omit<WriteGraph.Report, "roots">)
    | { readonly outcome: "planned"; readonly digest: Digest.Digest; readonly summary: WriteGraph.Summary }
    | { readonly outcome: "failed"; readonly error: Failure }
  )

/**
 * Why a tag failed.
 *
 * @category errors
 * @since 1.0.0
 */
export type Failure = ContentError | CopyError | NameError

/**
 * What a sync is made of.
 *
 * @category models
 * @since 1.0.0
 */
export interface Steps {
  readonly tags: Stream.Stream<string, RegistryError | NameError>
  readonly copy: (
    tag: string,
    options: Extent.Options
  ) => Effect.Effect<WriteGraph.Report & { readonly digest: Digest.Digest }, Failure>
  readonly plan: (
    tag: string,
    options: Extent.Options
  ) => Effect.Effect<{ readonly digest: Digest.Digest; readonly plan: WriteGraph.Plan }, Failure>
}

const expression = (pattern: string | RegExp): RegExp =>
  typeof pattern !== "string" ? pattern : new RegExp(
    `^${pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".")}$`
  )

const fits = (patterns: ReadonlyArray<string | RegExp>) => {
  const expressions = patterns.map(expression)
  // A global expression remembers where it stopped.
  return (tag: string): boolean => expressions.some((expression) => tag.search(expression) !== -1)
}

/**
 * Which tags the patterns are about.
 *
 * @category filtering
 * @since 1.0.0
 */
export const filter = (options?: Pick<Options, "include" | "exclude"> | undefined): (tag: string) => boolean => {
  const included = options?.include === undefined || options.include.length === 0
    ? (tag: string) => !Extent.isDigestTag(tag)
    : fits(options.include)
  const excluded = fits(options?.exclude ?? [])
  return (tag) => included(tag) && !excluded(tag)
}

const isDone = ({ blobs, manifests, mount, refer, tag }: WriteGraph.Summary): boolean =>
  blobs + manifests + mount + refer + tag === 0

/**
 * Brings tags from one place to another, and tells of each as it is done.
 *
 * @category syncing
 * @since 1.0.0
 */
export const run = (
  steps: Steps,
  options: Options = {}
): Stream.Stream<Synced, RegistryError | NameError> =>
  Stream.unwrap(Effect.map(
    Effect.sync(() => {
      const { atOnce, concurrency, dryRun, exclude, include, perOrigin, transfers, ...rest } = options
      return {
        atOnce: atOnce ?? 4,
        dryRun: dryRun === true,
        isMeant: filter({ exclude, include }),
        // One for all tags, however many are on their way.
        each: { ...rest, budget: Budget.make({ concurrency, perOrigin, transfers }) }
      }
    }),
    ({ atOnce, dryRun, each, isMeant }) => {
      const plan = (tag: string) =>
        Effect.map(steps.plan(tag, each), ({ digest, plan }): Synced => {
          const summary = WriteGraph.summary(plan)
          return isDone(summary) ? { tag, outcome: "same", digest } : { tag, outcome: "planned", digest, summary }
        })
      const copy = (tag: string) =>
        Effect.map(steps.copy(tag, each), ({ bytes, digest, mounted, present, sent }): Synced =>
          sent + mounted === 0
            ? { tag, outcome: "same", digest }
            : { tag, outcome: "copied", digest, bytes, mounted, present, sent })
      return Stream.mapEffect(
        Stream.filter(steps.tags, isMeant),
        (tag) =>
          Effect.catch(
            dryRun ? plan(tag) : copy(tag),
            (error): Effect.Effect<Synced> => Effect.succeed({ tag, outcome: "failed", error })
          ),
        { concurrency: atOnce, unordered: true }
      )
    }
  ))
