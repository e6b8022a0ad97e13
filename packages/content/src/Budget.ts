/**
 * How much goes on at once: so much in all, and at each origin as much as it bears.
 *
 * **Details**
 *
 * An origin that says it is asked too much has its share halved; each success gives it one back. Who waits before trying
 * again holds nothing meanwhile: others go on in its place.
 *
 * @since 1.0.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"

/**
 * A wait before something is tried again.
 *
 * @category models
 * @since 1.0.0
 */
export interface Wait {
  /**
   * Who is waited for: a registry, a disk.
   */
  readonly origin: string
  readonly duration: Duration.Duration
  /**
   * Whether the origin has asked for less.
   */
  readonly isRateLimited: boolean
  /**
   * What has failed.
   */
  readonly detail: string
}

/**
 * A budget.
 *
 * @category models
 * @since 1.0.0
 */
export interface Budget {
  /**
   * Runs an effect once there is room for it, in all and at each of the origins.
   */
  readonly within: (
    origins: ReadonlyArray<string>,
    options?: WithinOptions | undefined
  ) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /**
   * How much may go on in all.
   */
  readonly concurrency: number
  /**
   * How much may go on at an origin now.
   */
  readonly limit: (origin: string) => number
}

/**
 * The place in the line of one who comes more than once: it is that of the first time. What was begun is ended so before more
 * is begun.
 *
 * @category models
 * @since 1.0.0
 */
export interface Turn {
  /**
   * Set by the budget.
   */
  ticket: number | undefined
}

/**
 * Options for `within`.
 *
 * @category options
 * @since 1.0.0
 */
export interface WithinOptions {
  /**
   * Hears of the waits.
   */
  readonly told?: ((wait: Wait) => void) | undefined
  /**
   * Those of one group count once in all, and follow each other as soon as their origins have room: they read the same thing
   * together.
   */
  readonly group?: object | undefined
  /**
   * Whose turn it is, where one comes more than once: before those that came first after him.
   */
  readonly turn?: Turn | undefined
  /**
   * Whether it moves much: of those fewer go on at once. See `isBulk`.
   */
  readonly isBulk?: boolean | undefined
}

/**
 * Whether so many bytes are much: more than 1 MiB, or nobody knows. Of what is small the link is idle most of the time, so
 * many go on at once; of what is large a few fill it, and more would only wait for each other in memory.
 *
 * @category predicates
 * @since 1.0.0
 */
export const isBulk = (size: Option.Option<number>): boolean => Option.getOrElse(size, () => Infinity) > 1024 * 1024

/**
 * Options for `make`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * How much goes on at once in all.
   *
   * @default 128
   */
  readonly concurrency?: number | undefined
  /**
   * How many of them may move much at once.
   *
   * @default 16
   */
  readonly transfers?: number | undefined
  /**
   * How much goes on at once at one origin, as long as it bears it.
   *
   * @default as much as in all
   */
  readonly perOrigin?: number | undefined
}

interface Origin {
  limit: number
  busy: number
}

interface Slot {
  readonly line: Line
  readonly group: object | undefined
  state: "waiting" | "entered" | "left"
  /** Whether it counts in all: of a group one does. */
  isCounted: boolean
  /** Until when it is lent, if it is. */
  until: number | undefined
}

/** Those that wait for the same origins, first come first. */
interface Line {
  readonly origins: ReadonlyArray<Origin>
  /** What it counts for besides, as if all went through one place, and so did all that moves much. */
  readonly sums: ReadonlyArray<Origin>
  readonly waiting: Map<number, Waiter>
}

interface Waiter {
  readonly ticket: number
  /** The ticket of the first time. */
  readonly turn: number
  readonly line: Line
  readonly slot: Slot
  readonly resume: () => void
}

/**
 * What the effect that runs holds of a budget, for the place that it waits for.
 *
 * @category references
 * @since 1.0.0
 */
export const Held = Context.Reference<Option.Option<(wait: Wait) => Effect.Effect<void>>>(
  "@effect-oci/content/Budget/Held",
  { defaultValue: () => Option.none() }
)

/**
 * To be told by a place before it waits, within a budget or not.
 *
 * @category waiting
 * @since 1.0.0
 */
export const waiting = (wait: Wait): Effect.Effect<void> =>
  Effect.flatMap(Held, Option.match({ onNone: () => Effect.void, onSome: (told) => told(wait) }))

/**
 * What goes on at once where nobody says otherwise.
 *
 * @category constants
 * @since 1.0.0
 */
export const defaults = { concurrency: 128, transfers: 16 }

/**
 * Makes a budget. One may serve many runs.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = (options?: Options | undefined): Budget => {
  const concurrency = Math.max(1, options?.concurrency ?? defaults.concurrency)
  const transfers = Math.max(1, options?.transfers ?? defaults.transfers)
  const most = Math.max(1, options?.perOrigin ?? concurrency)
  const origins = new Map<string, Origin>()
  const all: Origin = { limit: concurrency, busy: 0 }
  const bulk: Origin = { limit: transfers, busy: 0 }
  const sums = { little: [all], much: [all, bulk] }
  const lines = new Map<string, Line>()
  const lent = new Set<Slot>()
  /** Who of a group is at work, and who of it waits. */
  const atWork = new Map<object, Set<Slot>>()
  const grouped = new Map<object, Set<Waiter>>()
  /** Groups of which one is at work and another waits: few, however many there are. */
  const split = new Set<object>()
  let tickets = 0

  const originOf = (name: string): Origin => {
    const known = origins.get(name)
    if (known !== undefined) return known
    const origin = { limit: most, busy: 0 }
    origins.set(name, origin)
    return origin
  }
  const sum = (slot: Slot, by: 1 | -1) => {
    for (const sum of slot.line.sums) sum.busy += by
  }
  const count = (slot: Slot, by: 1 | -1) => {
    if (slot.isCounted) sum(slot, by)
    for (const origin of slot.line.origins) origin.busy += by
  }
  const haveRoom = (origins: ReadonlyArray<Origin>) => origins.every((origin) => origin.busy < origin.limit)

  /** A slot whose wait is over counts again, whether there is room for it or not: it will be among the first to end. */
  const recall = (now: number) => {
    for (const slot of lent) {
      if (slot.until! > now) continue
      lent.delete(slot)
      slot.until = undefined
      count(slot, 1)
    }
  }

  /** Of the lines that there is room for, the one whose first came first of all. */
  const next = (): Waiter | undefined => {
    if (!haveRoom([all])) return undefined
    let first: Waiter | undefined
    for (const line of lines.values()) {
      const [waiter] = line.waiting.values()
      if (waiter === undefined || !haveRoom(line.origins) || !haveRoom(line.sums)) continue
      if (first === undefined || waiter.turn < first.turn) first = waiter
    }
    return first
  }

  const forget = (waiter: Waiter) => {
    waiter.line.waiting.delete(waiter.ticket)
    const { group } = waiter.slot
    if (group === undefined) return
    const others = grouped.get(group)
    others?.delete(waiter)
    if (others?.size === 0) grouped.delete(group)
    sort(group)
  }

  const sort = (group: object) => {
    if (grouped.has(group) && atWork.has(group)) split.add(group)
    else split.delete(group)
  }

  const enter = (waiter: Waiter, isCounted: boolean) => {
    const { slot } = waiter
    forget(waiter)
    slot.state = "entered"
    slot.isCounted = isCounted
    count(slot, 1)
    waiter.resume()
    if (slot.group === undefined) return
    atWork.set(slot.group, (atWork.get(slot.group) ?? new Set()).add(slot))
    sort(slot.group)
    follow(slot.group)
  }

  /** Whether a slot that counts does so for another of its group, too: one that moves much also for those that do not. */
  const covers = (wide: Slot, narrow: Slot) => narrow.line.sums.every((sum) => wide.line.sums.includes(sum))

  /** Lets another of the group count in all, for one that stops. */
  const passOn = (slot: Slot) => {
    if (slot.group === undefined || !slot.isCounted) return
    const heirs = Array.from(atWork.get(slot.group) ?? []).filter((other) =>
      other !== slot && !other.isCounted && !lent.has(other) && covers(slot, other)
    )
    const heir = heirs.find((other) => other.line.sums === slot.line.sums) ?? heirs[0]
    if (heir === undefined) return
    sum(slot, -1)
    sum(heir, 1)
    slot.isCounted = false
    heir.isCounted = true
  }

  /** Lets in those of a group that is at work already. */
  const follow = (group: object) => {
    for (const waiter of grouped.get(group) ?? []) {
      const isAlong = Array.from(atWork.get(group) ?? []).some((other) => covers(other, waiter.slot))
      if (isAlong && haveRoom(waiter.line.origins)) enter(waiter, false)
    }
  }

  const admit = (now: number) => {
    recall(now)
    for (const group of split) follow(group)
    for (let first = next(); first !== undefined; first = next()) enter(first, true)
  }

  const now = Effect.clockWith((clock) => Effect.succeed(clock.currentTimeMillisUnsafe()))

  const wait = (slot: Slot, line: Line, turn: Turn | undefined): Effect.Effect<void> =>
    Effect.flatMap(now, (now) =>
      Effect.callback<void>((resume) => {
        let isAsking = true
        const ticket = tickets++
        if (turn !== undefined) turn.ticket ??= ticket
        const waiter: Waiter = {
          ticket,
          turn: turn?.ticket ?? ticket,
          line,
          slot,
          // Not from within whoever leaves: each would run inside the one before, as deep as there are waiters.
          resume: () => isAsking ? resume(Effect.void) : queueMicrotask(() => resume(Effect.void))
        }
        line.waiting.set(waiter.ticket, waiter)
        if (slot.group !== undefined) {
          grouped.set(slot.group, (grouped.get(slot.group) ?? new Set()).add(waiter))
          sort(slot.group)
        }
        admit(now)
        isAsking = false
        return Effect.sync(() => forget(waiter))
      }))

  const leave = (slot: Slot, exit: Exit.Exit<unknown, unknown>) =>
    Effect.map(now, (now) => {
      const hasEntered = slot.state === "entered"
      slot.state = "left"
      if (!hasEntered) return
      if (!lent.delete(slot)) {
        passOn(slot)
        count(slot, -1)
      }
      if (slot.group !== undefined) {
        const others = atWork.get(slot.group)
        others?.delete(slot)
        if (others?.size === 0) atWork.delete(slot.group)
        sort(slot.group)
      }
      if (Exit.isSuccess(exit)) {
        for (const origin of slot.line.origins) origin.limit = Math.min(most, origin.limit + 1)
      }
      admit(now)
    })

  const lend = (slot: Slot, wait: Wait) =>
    Effect.map(now, (now) => {
      if (wait.isRateLimited) {
        const origin = originOf(wait.origin)
        origin.limit = Math.max(1, Math.floor(origin.limit / 2))
      }
      // What was begun by one may go on for others.
      if (slot.state === "left") return
      if (slot.until === undefined) {
        passOn(slot)
        count(slot, -1)
      }
      slot.until = Math.max(slot.until ?? 0, now + Duration.toMillis(wait.duration))
      lent.add(slot)
      admit(now)
    })

  return {
    concurrency,
    limit: (origin) => origins.get(origin)?.limit ?? most,
    within: (names, options) => (self) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.suspend(() => {
          const unique = [...new Set(names)].sort()
          const isBulk = options?.isBulk === true
          const key = `${isBulk} ${unique.join(" ")}`
          const line: Line = lines.get(key) ??
            { origins: unique.map(originOf), sums: isBulk ? sums.much : sums.little, waiting: new Map() }
          lines.set(key, line)
          const slot: Slot = {
            line,
            group: options?.group,
            state: "waiting",
            isCounted: true,
            until: undefined
          }
          const held = Option.some((waits: Wait) => {
            options?.told?.(waits)
            return lend(slot, waits)
          })
          return restore(Effect.andThen(wait(slot, line, options?.turn), Effect.provideService(self, Held, held))).pipe(
            Effect.onExit((exit) => leave(slot, exit))
          )
        })
      )
  }
}
