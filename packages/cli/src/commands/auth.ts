import { AuthnError } from "@effect-oci/authn/AuthnError"
import * as CredentialFile from "@effect-oci/authn/CredentialFile"
import { Keychain } from "@effect-oci/authn/Keychain"
import * as MachineKeychain from "@effect-oci/authn/MachineKeychain"
import * as Registry from "@effect-oci/name/Registry"
import * as Repository from "@effect-oci/name/Repository"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { report } from "../Failed.ts"

const registry = Argument.String("REGISTRY").pipe(
  Argument.withDescription("host[:port], or host[:port]/path for what is below that path only")
)

/** The first of the files that are asked, so that what is kept there is what is found. */
const file = Effect.flatMap(MachineKeychain.files, ([first]) =>
  first === undefined
    ? Effect.fail(
      new AuthnError({
        source: "the machine",
        reason: "Unwritable",
        detail: "neither DOCKER_CONFIG nor HOME says where credentials are kept"
      })
    )
    : Effect.succeed(first))

/** Never an argument: others on this machine can read those. */
const passwordFrom = Effect.fnUntraced(function*(isFromStdin: boolean) {
  const missing = (detail: string) => new AuthnError({ source: "the password", reason: "Malformed", detail })
  if (!isFromStdin) {
    const password = yield* Config.option(Config.Redacted("EFFECT_OCI_PASSWORD"))
    return Option.isSome(password) && Redacted.value(password.value) !== ""
      ? password.value
      : yield* missing("give it by --password-stdin, or in EFFECT_OCI_PASSWORD")
  }
  const { stdin } = yield* Stdio.Stdio
  const text = (yield* Stream.mkString(Stream.decodeText(stdin))).replace(/\r?\n$/, "")
  return text === "" || text.length > 65_536
    ? yield* missing("stdin holds none, or too much to be one")
    : Redacted.make(text, { label: "password" })
})

const login = Command.make("login", {
  registry,
  username: Flag.String("username").pipe(Flag.withAlias("u"), Flag.withDescription("who is asking")),
  isFromStdin: Flag.Boolean("password-stdin").pipe(
    Flag.withDescription("reads the password from stdin, not from EFFECT_OCI_PASSWORD"),
    Flag.withDefault(false)
  )
}, ({ isFromStdin, registry, username }) =>
  report(Effect.gen(function*() {
    yield* CredentialFile.login(yield* file, registry, username, yield* passwordFrom(isFromStdin))
  }))).pipe(
    Command.withDescription("Keeps credentials where Docker and Podman do, or with their helper, without trying them"),
    Command.withExamples([{ command: "effect-oci auth login ghcr.io --username ann --password-stdin < token" }])
  )

const logout = Command.make("logout", { registry }, ({ registry }) =>
  report(Effect.gen(function*() {
    yield* CredentialFile.logout(yield* file, registry)
  }))).pipe(Command.withDescription("Forgets the credentials of a registry"))

const show = Command.make("show", { registry }, ({ registry }) =>
  report(Effect.gen(function*() {
    const { resolve } = yield* Keychain
    const resource = registry.includes("/")
      ? yield* Effect.fromResult(Repository.parse(registry))
      : yield* Effect.fromResult(Registry.parse(registry))
    const credential = yield* resolve(resource)
    yield* Console.log(JSON.stringify({
      resource: resource.name,
      kind: credential._tag,
      username: "username" in credential ? credential.username ?? null : null
    }))
  }))).pipe(Command.withDescription("Says who is asking, as a line of JSON without any secret"))

export const auth = Command.make("auth").pipe(
  Command.withDescription("Keeps, forgets and finds credentials"),
  Command.withSubcommands([login, logout, show])
)
