import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Registry from "../src/Registry.ts"
import * as Repository from "../src/Repository.ts"

const hex = "a".repeat(64)
const ghcr = Registry.parseUnsafe("ghcr.io")

const Component = Schema.String.check(Schema.isPattern(/^[a-z0-9]{1,6}(?:(?:\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}$/))

const failure = (input: string, options?: Repository.Options) =>
  Result.getOrThrow(Result.flip(Repository.parse(input, options)))

describe("Repository", () => {
  describe("parse", () => {
    it.each([
      ["ubuntu", "docker.io", "library/ubuntu"],
      ["grafana/grafana", "docker.io", "grafana/grafana"],
      ["docker.io/ubuntu", "docker.io", "library/ubuntu"],
      ["index.docker.io/ubuntu", "docker.io", "library/ubuntu"],
      ["ghcr.io/app", "ghcr.io", "app"],
      ["GHCR.io/a/b/c", "ghcr.io", "a/b/c"],
      ["localhost/app", "localhost", "app"],
      ["localhost", "docker.io", "library/localhost"],
      ["host:5000/app", "host:5000", "app"],
      ["[::1]:5000/app", "[::1]:5000", "app"],
      ["host/app", "docker.io", "host/app"],
      ["ghcr.io/ghcr.io/a", "ghcr.io", "ghcr.io/a"]
    ])("reads %s as one of %s", (input, registry, path) => {
      const repository = Repository.parseUnsafe(input)
      assert.strictEqual(repository.registry.name, registry)
      assert.strictEqual(repository.path, path)
      assert.strictEqual(Repository.format(repository), `${registry}/${path}`)
    })

    it.each([
      ["", "must not be empty"],
      ["ghcr.io/", "must not be empty"],
      ["https://ghcr.io/a", "must not have a scheme"],
      ["ghcr.io/App", "must be lowercase"],
      ["a//b", "must not have empty parts between slashes"],
      ["/a", "must not have empty parts between slashes"],
      ["a/", "must not have empty parts between slashes"],
      [hex, "must not be 64 hex characters, as an image id is"],
      ["ghcr.io/a..b", "each part must be letters and digits, with"],
      ["ghcr.io/../a", "each part must be letters and digits, with"],
      ["ghcr.io/a___b", "each part must be letters and digits, with"],
      ["ghcr.io/-a", "each part must be letters and digits, with"],
      ["ghcr.io/a-", "each part must be letters and digits, with"],
      ["ghcr.io/a:tag", "each part must be letters and digits, with"],
      [`ghcr.io/a@sha256:${hex}`, "each part must be letters and digits, with"],
      ["ghcr.io/a%2fb", "each part must be letters and digits, with"],
      ["ghcr.io/a?b", "each part must be letters and digits, with"],
      ["ghcr.io/a\n", "each part must be letters and digits, with"]
    ])("refuses %j: it %s", (input, rule) => {
      const error = failure(input)
      assert.strictEqual(error.kind, "Repository")
      assert.strictEqual(error.input, input)
      assert.include(error.detail, rule)
      assert.throws(() => Repository.parseUnsafe(input), error.message)
    })

    it("takes paths of up to 255 characters", () => {
      assert.strictEqual(Repository.parseUnsafe(`ghcr.io/${"p".repeat(255)}`).path.length, 255)
      assert.strictEqual(failure(`ghcr.io/${"p".repeat(256)}`).detail, "must be at most 255 characters")
    })

    it("counts the folder of Docker Hub's official images", () => {
      const longest = Repository.parseUnsafe("p".repeat(247))
      assert.isTrue(Equal.equals(Repository.parseUnsafe(longest.name), longest))
      const error = failure("p".repeat(248))
      assert.strictEqual(error.detail, "must be at most 255 characters")
      assert.isUndefined(error.suggestion)
    })

    it("names the registry that cannot be one", () => {
      assert.strictEqual(failure("host:99999/app").kind, "Registry")
      assert.strictEqual(failure("app", { defaultRegistry: "no registry" }).kind, "Registry")
    })

    it.each([
      ["App", "app"],
      ["ghcr.io/Acme/App", "ghcr.io/acme/app"],
      ["GHCR.io/App", "GHCR.io/app"],
      ["ghcr.io/a//b/", "ghcr.io/a/b"],
      [" app ", "app"],
      ["https://ghcr.io/app", "ghcr.io/app"],
      ["https://ghcr.io/App", undefined],
      ["a..b", undefined],
      [`${"A".repeat(600)}`, undefined],
      [hex.toUpperCase(), undefined]
    ])("suggests for %j what may have been meant", (input, suggestion) => {
      assert.strictEqual(failure(input).suggestion, suggestion)
    })

    it("asks the default registry for names that say none, and for no others", () => {
      const name = (input: string) => Repository.parseUnsafe(input, { defaultRegistry: "quay.io" }).name
      assert.strictEqual(name("app"), "quay.io/app")
      assert.strictEqual(name("acme/app"), "quay.io/acme/app")
      assert.strictEqual(name("ghcr.io/app"), "ghcr.io/app")
    })

    it.prop("reads what it writes", [Arbitrary.array(Arbitrary.schema(Component))], ([parts]) => {
      for (const registry of ["registry.example:5000", "docker.io"]) {
        const input = `${registry}/${["acme", "app", ...parts].slice(0, 8).join("/")}`
        const repository = Repository.parseUnsafe(input)
        assert.strictEqual(repository.name, input)
        assert.isTrue(Equal.equals(Repository.parseUnsafe(repository.name), repository))
      }
    })

    it.prop("never throws; what it suggests is valid", [Schema.String], ([text]) => {
      for (const input of [text, `ghcr.io/${text}`, `https://${text}`]) {
        const result = Repository.parse(input)
        if (Result.isSuccess(result)) {
          assert.strictEqual(Repository.parseUnsafe(result.success.name).name, result.success.name)
        } else if (result.failure.suggestion !== undefined) {
          Repository.parseUnsafe(result.failure.suggestion)
        }
      }
    })

    it.prop("refuses whatever follows a valid name and no name has", [Component, Schema.String], ([part, more]) => {
      for (const forbidden of [":", "@", " ", "\n", "\0", "?", "#", "%", "\\", "é"]) {
        assert.isTrue(Result.isFailure(Repository.parse(`ghcr.io/${part}${forbidden}${more}`)))
      }
    })

    it.each(["a", "a-", "-", "_", "a.", "a/", "/", "A", "a__"])("takes a million times %j in its stride", (unit) => {
      assert.isTrue(Result.isFailure(Repository.parse(`ghcr.io/${unit.repeat(1_000_000)}!`)))
    })
  })

  describe("make", () => {
    it("gives Docker Hub's official images their folder, and no others", () => {
      const path = (registry: Registry.Registry, path: string) =>
        Result.getOrThrow(Repository.make(registry, path)).path
      assert.strictEqual(path(Registry.dockerHub, "ubuntu"), "library/ubuntu")
      assert.strictEqual(path(Registry.dockerHub, "grafana/grafana"), "grafana/grafana")
      assert.strictEqual(path(ghcr, "ubuntu"), "ubuntu")
    })

    it("takes a path as a path, though its first part looks like a registry", () => {
      assert.strictEqual(Result.getOrThrow(Repository.make(ghcr, "quay.io/a")).name, "ghcr.io/quay.io/a")
      assert.isTrue(Result.isFailure(Repository.make(ghcr, "quay.io:443/a")))
    })
  })

  it("is equal, hashed and ordered by its canonical name", () => {
    const [short, long] = [Repository.parseUnsafe("ubuntu"), Repository.parseUnsafe("docker.io/library/ubuntu")]
    assert.isTrue(Equal.equals(short, long))
    assert.strictEqual(Hash.hash(short), Hash.hash(long))
    assert.isFalse(Equal.equals(short, Repository.parseUnsafe("ghcr.io/library/ubuntu")))
    assert.deepStrictEqual(
      ["quay.io/a", "ubuntu", "ghcr.io/b", "ghcr.io/a"].map((name) => Repository.parseUnsafe(name)).sort(
        Repository.Order
      )
        .map(String),
      ["docker.io/library/ubuntu", "ghcr.io/a", "ghcr.io/b", "quay.io/a"]
    )
  })

  it("is told from what looks like one", () => {
    const repository = Repository.parseUnsafe("ghcr.io/a")
    assert.isTrue(Repository.isRepository(repository))
    assert.isFalse(Repository.isRepository({ ...repository }))
    assert.isFalse(Repository.isRepository({ registry: ghcr, path: "a", name: "ghcr.io/a" }))
  })

  it("is text as JSON, and comes back from it", () => {
    const repository = Repository.parseUnsafe("ghcr.io/a/b")
    assert.strictEqual(JSON.stringify({ repository }), "{\"repository\":\"ghcr.io/a/b\"}")
    const decoded = Schema.decodeSync(Repository.RepositoryFromString)("ghcr.io/a/b")
    assert.isTrue(Equal.equals(decoded, repository))
    assert.strictEqual(Schema.encodeSync(Repository.RepositoryFromString)(decoded), "ghcr.io/a/b")
    assert.throws(() => Schema.decodeSync(Repository.RepositoryFromString)("ghcr.io/A"), "must be lowercase")
  })
})
