/**
 * What all names have in common: they are equal when their canonical text is.
 */
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as Inspectable from "effect/Inspectable"
import { hasProperty } from "effect/Predicate"

export const make = (typeId: string, format: (self: never) => string) => ({
  [typeId]: typeId,
  [Equal.symbol](this: never, that: unknown): boolean {
    return hasProperty(that, typeId) && format(that as never) === format(this)
  },
  [Hash.symbol](this: never): number {
    return Hash.string(format(this))
  },
  toString(this: never): string {
    return format(this)
  },
  toJSON(this: never): string {
    return format(this)
  },
  [Inspectable.NodeInspectSymbol](this: never): string {
    return format(this)
  }
})
