import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Redacted from "effect/Redacted"
import { TestClock } from "effect/testing"
import * as AwsCredentials from "../src/AwsCredentials.ts"
import * as AwsKeychain from "../src/AwsKeychain.ts"
import * as Sigv4 from "../src/internal/sigv4.ts"
import { cloud, show, within } from "./cloud.ts"

const ecr = "POST https://api.ecr.eu-west-1.amazonaws.com/"
const host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
const base64 = (text: string) => Buffer.from(text).toString("base64")
const token = (password: string, expiresAt: number) => ({
  authorizationData: [{
    authorizationToken: base64(`AWS:${password}`),
    expiresAt,
    proxyEndpoint: `https://${host}`
  }]
})
const keys = { AWS_ACCESS_KEY_ID: "AKIA1", AWS_SECRET_ACCESS_KEY: "s3cret" }
const imds = "http://169.254.169.254/latest"

const file = Effect.fnUntraced(function*(text: string) {
  const fs = yield* FileSystem.FileSystem
  const path = `${yield* fs.makeTempDirectoryScoped()}/file`
  yield* fs.writeFileString(path, text)
  return path
}, Effect.provide(NodeServices.layer))

describe("sigv4", () => {
  const at = new Date("2015-08-30T12:36:00Z")
  const example = {
    accessKeyId: "AKIDEXAMPLE",
    secretAccessKey: Redacted.make("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
    sessionToken: undefined
  }

  it.effect.each(
    [
      ["GET", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"],
      ["POST", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"]
    ] as const
  )("signs a %s as AWS' own test suite does", ([method, signature]) =>
    Effect.gen(function*() {
      const { authorization } = yield* Sigv4.sign(example, {
        method,
        url: new URL("https://example.amazonaws.com/"),
        headers: {},
        body: "",
        service: "service",
        region: "us-east-1",
        at
      })
      assert.strictEqual(
        authorization,
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, " +
          `SignedHeaders=host;x-amz-date, Signature=${signature}`
      )
    }))
})

describe("AwsKeychain", () => {
  it.effect.each(
    [
      [host, "https://api.ecr.eu-west-1.amazonaws.com/", "ecr", "eu-west-1"],
      [
        "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
        "https://ecr-fips.us-gov-west-1.amazonaws.com/",
        "ecr",
        "us-gov-west-1"
      ],
      [
        "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
        "https://api.ecr.cn-north-1.amazonaws.com.cn/",
        "ecr",
        "cn-north-1"
      ],
      ["123456789012.dkr-ecr.eu-west-1.on.aws", "https://api.ecr.eu-west-1.amazonaws.com/", "ecr", "eu-west-1"],
      ["public.ecr.aws", "https://api.ecr-public.us-east-1.amazonaws.com/", "ecr-public", "us-east-1"]
    ] as const
  )("signs for %s at %s", ([host, endpoint, service, region]) =>
    Effect.gen(function*() {
      const body = service === "ecr"
        ? token("p", 43_200)
        : { authorizationData: token("p", 43_200).authorizationData[0] }
      const { layer, seen } = cloud({ [`POST ${endpoint}`]: { body } })
      const resolve = yield* Effect.provide(AwsKeychain.make(), within(keys, layer))
      assert.strictEqual(yield* show(resolve, host), "AWS p")
      const [request] = seen
      assert.strictEqual(seen.length, 1)
      assert.include(request!.headers["authorization"], `Credential=AKIA1/19700101/${region}/${service}/aws4_request, `)
      assert.include(request!.headers["x-amz-target"], ".GetAuthorizationToken")
      assert.strictEqual(request!.headers["content-type"], "application/x-amz-json-1.1")
      assert.strictEqual(request!.body, "{}")
      assert.notInclude(JSON.stringify(seen), "s3cret")
    }))

  it.effect("asks once for a region, and again before the token ends", () =>
    Effect.gen(function*() {
      const { layer, seen } = cloud({ [ecr]: [{ body: token("p1", 43_200) }, { body: token("p2", 86_400) }] })
      const resolve = yield* Effect.provide(AwsKeychain.make(), within(keys, layer))
      assert.strictEqual(yield* show(resolve, host), "AWS p1")
      assert.strictEqual(yield* show(resolve, host.replace("1", "2")), "AWS p1")
      yield* TestClock.adjust("11 hours")
      assert.strictEqual(yield* show(resolve, host), "AWS p1")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* show(resolve, host), "AWS p2")
      assert.strictEqual(seen.length, 2)
    }))

  it.effect("says what AWS refuses by its code, and nothing that was sent", () =>
    Effect.gen(function*() {
      const { layer } = cloud({
        [ecr]: { status: 400, body: { __type: "UnrecognizedClientException", message: "s3cret is invalid" } }
      })
      const resolve = yield* Effect.provide(AwsKeychain.make(), within(keys, layer))
      const error = yield* Effect.flip(show(resolve, host))
      assert.strictEqual(error.message, `credentials from AWS: ${ecr}: 400 UnrecognizedClientException`)
    }))

  it.effect("does not keep that it failed for ever", () =>
    Effect.gen(function*() {
      const { layer } = cloud({ [ecr]: [{ status: 500, body: {} }, { body: token("p", 43_200) }] })
      const resolve = yield* Effect.provide(AwsKeychain.make(), within(keys, layer))
      yield* Effect.flip(show(resolve, host))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* show(resolve, host), "AWS p")
    }))

  it.effect("takes keys from somewhere else", () =>
    Effect.gen(function*() {
      const { layer, seen } = cloud({ [ecr]: { body: token("p", 43_200) } })
      const credentials = Effect.succeed({
        accessKeyId: "AKIA2",
        secretAccessKey: Redacted.make("s3cret"),
        sessionToken: Redacted.make("session")
      })
      const resolve = yield* Effect.provide(AwsKeychain.make({ credentials }), within({}, layer))
      assert.strictEqual(yield* show(resolve, host), "AWS p")
      assert.strictEqual(seen[0]!.headers["x-amz-security-token"], "session")
      assert.include(seen[0]!.headers["authorization"], "x-amz-date;x-amz-security-token;x-amz-target")
    }))
})

describe("AwsCredentials", () => {
  /** Who this machine is, and whom it asked. */
  const found = (env: Record<string, string>, answers: Parameters<typeof cloud>[0] = {}) =>
    Effect.gen(function*() {
      const { layer, seen } = cloud(answers)
      const find = yield* Effect.provide(AwsCredentials.make, within(env, layer))
      const keys = yield* find
      return {
        id: keys?.accessKeyId,
        secret: keys === undefined ? undefined : Redacted.value(keys.secretAccessKey),
        session: keys?.sessionToken === undefined ? undefined : Redacted.value(keys.sessionToken),
        seen
      }
    })
  const answer = { AccessKeyId: "ASIA1", SecretAccessKey: "s", Token: "t", Expiration: "2030-01-01T00:00:00Z" }

  it.effect("are in the environment", () =>
    Effect.gen(function*() {
      const { id, seen, session } = yield* found({ ...keys, AWS_SESSION_TOKEN: "t", HOME: "/nonexistent" })
      assert.deepStrictEqual([id, session, seen], ["AKIA1", "t", []])
    }))

  it.effect("are those of a pod's role", () =>
    Effect.gen(function*() {
      const env = {
        AWS_WEB_IDENTITY_TOKEN_FILE: yield* file("a.b.c\n"),
        AWS_ROLE_ARN: "arn:aws:iam::1:role/pull",
        AWS_REGION: "eu-west-1"
      }
      const inner = { AccessKeyId: "ASIA2", SecretAccessKey: "s", SessionToken: "t", Expiration: 1.7e9 }
      const { id, secret, seen, session } = yield* found(env, {
        "POST https://sts.eu-west-1.amazonaws.com/": {
          body: { AssumeRoleWithWebIdentityResponse: { AssumeRoleWithWebIdentityResult: { Credentials: inner } } }
        }
      })
      assert.deepStrictEqual([id, secret, session], ["ASIA2", "s", "t"])
      assert.deepStrictEqual(Object.fromEntries(new URLSearchParams(seen[0]!.body)), {
        Action: "AssumeRoleWithWebIdentity",
        Version: "2011-06-15",
        RoleArn: "arn:aws:iam::1:role/pull",
        RoleSessionName: "effect-oci",
        WebIdentityToken: "a.b.c"
      })
      assert.strictEqual(seen[0]!.headers["accept"], "application/json")
    }))

  it.effect("are those of a profile in the shared file", () =>
    Effect.gen(function*() {
      const text = "[default]\naws_access_key_id = AKIA3\r\naws_secret_access_key=s3\n\n[ci]\n" +
        "aws_access_key_id=AKIA4\naws_secret_access_key = s4=\naws_session_token = t4\n[none]\nregion=x\n"
      const AWS_SHARED_CREDENTIALS_FILE = yield* file(text)
      const env = { AWS_SHARED_CREDENTIALS_FILE, AWS_EC2_METADATA_DISABLED: "true" }
      assert.strictEqual((yield* found(env)).id, "AKIA3")
      const { id, secret, session } = yield* found({ ...env, AWS_PROFILE: "ci" })
      assert.deepStrictEqual([id, secret, session], ["AKIA4", "s4=", "t4"])
      assert.isUndefined((yield* found({ ...env, AWS_PROFILE: "none" })).id)
    }))

  it.effect("are given to a container, where AWS documents it and nowhere else", () =>
    Effect.gen(function*() {
      const ecs = yield* found(
        { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: "/v2/credentials/1" },
        { "GET http://169.254.170.2/v2/credentials/1": { body: answer } }
      )
      assert.deepStrictEqual([ecs.id, ecs.session], ["ASIA1", "t"])
      const eks = yield* found(
        {
          AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://169.254.170.23/v1/credentials",
          AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: yield* file("s3cret\n")
        },
        { "GET http://169.254.170.23/v1/credentials": { body: answer } }
      )
      assert.strictEqual(eks.id, "ASIA1")
      assert.strictEqual(eks.seen[0]!.headers["authorization"], "s3cret")
      for (const uri of ["http://evil.test/", "http://169.254.170.2.evil.test/", "https://evil.test/", "x"]) {
        const env = { AWS_CONTAINER_CREDENTIALS_FULL_URI: uri, AWS_CONTAINER_AUTHORIZATION_TOKEN: "s3cret" }
        const error = yield* Effect.flip(found(env, { [`GET ${uri}`]: { body: answer } }))
        assert.strictEqual(error._tag === "AuthnError" && error.reason, "Malformed")
      }
      yield* Effect.flip(found({ AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: "@evil.test/" }))
    }))

  it.effect("are those of the machine's role, by the second version of its protocol", () =>
    Effect.gen(function*() {
      const { id, seen } = yield* found({}, {
        [`PUT ${imds}/api/token`]: { body: "session==" },
        [`GET ${imds}/meta-data/iam/security-credentials/`]: { body: "my-role" },
        [`GET ${imds}/meta-data/iam/security-credentials/my-role`]: { body: { Code: "Success", ...answer } }
      })
      assert.strictEqual(id, "ASIA1")
      assert.deepStrictEqual(
        seen.map(({ headers }) => headers["x-aws-ec2-metadata-token"]),
        [undefined, "session==", "session=="]
      )
      assert.strictEqual((yield* found({ AWS_EC2_METADATA_DISABLED: "TRUE" })).seen.length, 0)
    }))

  it.effect("are nobody's where there is no such machine", () =>
    Effect.gen(function*() {
      assert.isUndefined((yield* found({})).id)
      assert.isUndefined((yield* found({}, { [`PUT ${imds}/api/token`]: { status: 403, body: "" } })).id)
      const noRole = {
        [`PUT ${imds}/api/token`]: { body: "session==" },
        [`GET ${imds}/meta-data/iam/security-credentials/`]: { status: 404, body: "" }
      }
      assert.isUndefined((yield* found({}, noRole)).id)
    }))
})
