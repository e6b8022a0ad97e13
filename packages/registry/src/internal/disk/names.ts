/**
 * Names as files: each is one entry of a folder, also on file systems that take upper case for lower case.
 */
import * as Digest from "@effect-oci/name/Digest"
import * as Option from "effect/Option"
import * as Result from "effect/Result"

/** As many characters as file systems take. */
const longest = 255

const swapped = (name: string): string =>
  name.replace(/[A-Za-z]/g, (char) => char < "a" ? char.toLowerCase() : char.toUpperCase())

const escape = (name: string): string =>
  name === "" ? "%" : name.replace(/[^a-z0-9._-]|^\./g, (char) =>
    char === "/"
      ? "+"
      : /[A-Z]/.test(char)
      ? `~${char.toLowerCase()}`
      : `%${char.charCodeAt(0).toString(16).padStart(4, "0")}`)

const unescape = (file: string): string =>
  file === "%" ? "" : file.replace(
    /\+|~([a-z])|%([0-9a-f]{4})/g,
    (_, upper: string | undefined, code: string | undefined) =>
      upper !== undefined
        ? upper.toUpperCase()
        : code !== undefined
        ? String.fromCharCode(parseInt(code, 16))
        : "/"
  )

/** No two names have the same file, and none leads out of its folder. */
export const encode = (name: string): string => {
  const file = escape(name)
  // A tag of nothing but capitals may be too long by one: there they are what needs no escape.
  return file.length <= longest ? file : `=${escape(swapped(name))}`
}

/** The names of files; what something else has put among them is none. */
export const decode = (file: string): Option.Option<string> => {
  const name = file.startsWith("=") ? swapped(unescape(file.slice(1))) : unescape(file)
  return encode(name) === file ? Option.some(name) : Option.none()
}

export const ofDigest = (digest: Digest.Digest): string => `${Digest.algorithm(digest)}-${Digest.hex(digest)}`

export const toDigest = (file: string): Option.Option<Digest.Digest> =>
  Option.filter(Result.getSuccess(Digest.parse(file.replace("-", ":"))), (digest) => ofDigest(digest) === file)

/** A blob of a repository, and its size. */
export const ofLink = (digest: Digest.Digest, size: number): string => `${ofDigest(digest)}.${size}`

export const fromLink = (file: string): Option.Option<Digest.Digest> => toDigest(file.replace(/\.\d+$/, ""))
