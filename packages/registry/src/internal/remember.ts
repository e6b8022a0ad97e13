/**
 * As many entries as are worth their memory; the oldest go first, and what is named again is new again.
 */
export const remember = <V>(map: Map<string, V>, key: string, value: V): void => {
  map.delete(key)
  if (map.size >= 100_000) map.delete(map.keys().next().value!)
  map.set(key, value)
}
