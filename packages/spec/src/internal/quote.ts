/**
 * Quotes what a stranger wrote so that it can stand in an error: short, in one line, and with nothing that a terminal
 * would obey or that would turn the line around.
 */
export const quote = (text: string, length = 64): string =>
  JSON.stringify(text.length > length ? `${text.slice(0, length)}…` : text).replace(
    /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )
