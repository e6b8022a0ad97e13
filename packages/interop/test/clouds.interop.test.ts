/**
 * The registries of clouds, from what a machine knows to the bytes of a manifest: the exchanges as they are documented, on
 * loopback, by both clients that Node has.
 */
import * as NodeHasher from "@effect-oci/node/NodeHasher"
import * as NodeOci from "@effect-oci/node/NodeOci"
import * as Remote from "@effect-oci/remote/Remote"
import * as Transport from "@effect-oci/transport/Transport"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { createHash, createVerify, generateKeyPairSync } from "node:crypto"
import * as Clouds from "../src/Clouds.ts"

interface Case {
  readonly name: string
  /** `HOME` in it stands for the home folder, which holds `files`. */
  readonly env: Record<string, string>
  readonly files?: Record<string, string>
  readonly reference: string
  readonly exchanges: Clouds.Exchanges
  /** What is asked, in order. */
  readonly calls: ReadonlyArray<string>
  /** Where each secret may be seen. */
  readonly secrets: Record<string, ReadonlyArray<string>>
}

const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  config: { mediaType: "application/vnd.oci.empty.v1+json", digest: `sha256:${"0".repeat(64)}`, size: 2 },
  layers: []
})
const digest = `sha256:${createHash("sha256").update(manifest).digest("hex")}`

const base64 = (text: string) => Buffer.from(text).toString("base64")
const basic = (username: string, password: string) => `Basic ${base64(`${username}:${password}`)}`
const formOf = ({ body }: Clouds.Seen) => Object.fromEntries(new URLSearchParams(body))
const refused = (challenge: string): Clouds.Reply => ({
  status: 401,
  headers: { "www-authenticate": challenge, "content-type": "application/json" },
  body: { errors: [{ code: "UNAUTHORIZED", message: "authentication required" }] }
})

/** A registry that shows a manifest to whoever says this, and challenges all others. */
const registry = (reference: string, challenge: string, authorization: string): Clouds.Exchanges => {
  const [, host, path, tag] = /^([^/]+)\/(.*):([^:]+)$/.exec(reference)!
  const reply = ({ headers }: Clouds.Seen): Clouds.Reply =>
    headers.authorization === authorization
      ? { headers: { "content-type": "application/vnd.oci.image.manifest.v1+json" }, body: manifest }
      : refused(challenge)
  return {
    [`GET https://${host}/v2/`]: () => refused(challenge),
    [`GET https://${host}/v2/${path}/manifests/${tag}`]: reply
  }
}

/** What both the challenge and the token server of a registry say. */
const bearer = (
  { credential, post, realm, reference, scope, service, token }: {
    readonly reference: string
    readonly realm: string
    readonly service: string
    readonly scope: string
    readonly token: string
    readonly credential: string
    /** Whether it is exchanged by a form. */
    readonly post?: true
  }
): Clouds.Exchanges => ({
  ...registry(reference, `Bearer realm="${realm}",service="${service}",scope="${scope}"`, `Bearer ${token}`),
  [`${post === true ? "POST" : "GET"} ${realm}`]: (seen) => {
    const form = post === true ? formOf(seen) : Object.fromEntries(seen.query)
    const isRight = form["service"] === service && form["scope"] === scope &&
      (post === true
        ? form["grant_type"] === "refresh_token" && form["refresh_token"] === credential
        : seen.headers.authorization === credential)
    return isRight
      ? {
        body: post === true ? { access_token: token } : { token, expires_in: 300, issued_at: new Date().toISOString() }
      }
      : { status: 401, body: {} }
  }
})

const asked = (reference: string, ...more: ReadonlyArray<string>) => {
  const [, host, path, tag] = /^([^/]+)\/(.*):([^:]+)$/.exec(reference)!
  return [`GET https://${host}/v2/`, ...more, `GET https://${host}/v2/${path}/manifests/${tag}`]
}

/** A registry whose token server is told a password, and nobody else is. */
const byPassword = (
  { api, host, password, realm, service, ...rest }: Pick<Case, "name" | "env" | "files"> & {
    readonly host: string
    /** Where its API is, if that is elsewhere. */
    readonly api?: string
    readonly realm: string
    readonly service: string
    readonly password: string
  }
): Case => {
  const reference = `${api ?? host}/acme/app:1`
  const scope = "repository:acme/app:pull"
  return {
    ...rest,
    reference: `${host}/acme/app:1`,
    exchanges: bearer({ reference, realm, service, scope, token: "a-token", credential: basic("ann", password) }),
    calls: asked(reference, `GET ${realm}`),
    secrets: { [password]: [new URL(realm).host] }
  }
}

const ecrHost = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
const ecrReference = `${ecrHost}/acme/app:1`
const ecrApi = "https://api.ecr.eu-west-1.amazonaws.com/"
const ecrChallenge = `Basic realm="https://${ecrHost}/",service="ecr.amazonaws.com"`
const awsKeys = { AWS_ACCESS_KEY_ID: "AKIA1", AWS_SECRET_ACCESS_KEY: "canary-aws" }
const roleKeys = {
  AccessKeyId: "ASIA1",
  SecretAccessKey: "canary-role",
  Token: "canary-session",
  Expiration: "2099-01-01T00:00:00Z"
}
const authorizationData = (endpoint: string) => ({
  authorizationToken: base64("AWS:canary-ecr"),
  expiresAt: Date.now() / 1000 + 43_200,
  proxyEndpoint: endpoint
})

/** GetAuthorizationToken, to who signs. */
const ecr = (id: string, session?: string): Clouds.Exchanges => ({
  ...registry(ecrReference, ecrChallenge, basic("AWS", "canary-ecr")),
  [`POST ${ecrApi}`]: ({ body, headers }) =>
    body === "{}" && headers["x-amz-target"] === "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken" &&
      headers["content-type"] === "application/x-amz-json-1.1" && headers["x-amz-security-token"] === session &&
      headers.authorization?.startsWith(`AWS4-HMAC-SHA256 Credential=${id}/`) === true
      ? { body: { authorizationData: [authorizationData(`https://${ecrHost}`)] } }
      : { status: 400, body: { __type: "InvalidSignatureException" } }
})
const imds = "http://169.254.169.254/latest"
const ecrSecrets = { "canary-ecr": [ecrHost], "canary-aws": [], "canary-role": [] }

const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
const robot = {
  type: "service_account",
  private_key_id: "1",
  private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
  client_email: "robot@acme.iam.gserviceaccount.com"
}
const isSigned = (assertion = ""): boolean => {
  const [header, claims, signature = ""] = assertion.split(".")
  return createVerify("RSA-SHA256").update(`${header}.${claims}`).verify(publicKey, signature, "base64url")
}
const googleToken = { access_token: "canary-ya29", expires_in: 3599, token_type: "Bearer" }
const garHost = "europe-west1-docker.pkg.dev"
const garReference = `${garHost}/acme/repo/app:1`
const gcrReference = "gcr.io/acme/app:1"

const acrHost = "acmereg.azurecr.io"
const acrReference = `${acrHost}/app:1`
const acrRealm = `https://${acrHost}/oauth2/token`
const aadToken = { token_type: "Bearer", expires_in: 3599, access_token: "canary-aad" }
const acr: Clouds.Exchanges = {
  ...bearer({
    reference: acrReference,
    realm: acrRealm,
    service: acrHost,
    scope: "repository:app:pull",
    token: "acr-token",
    credential: "canary-acr",
    post: true
  }),
  [`POST https://${acrHost}/oauth2/exchange`]: (seen) => {
    const { access_token, grant_type, service } = formOf(seen)
    return access_token === "canary-aad" && grant_type === "access_token" && service === acrHost
      ? { body: { refresh_token: "canary-acr" } }
      : { status: 401, body: {} }
  }
}
const acrCalls = (login: string) =>
  asked(acrReference, login, `POST https://${acrHost}/oauth2/exchange`, `POST ${acrRealm}`)

const cases: ReadonlyArray<Case> = [
  {
    // https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
    name: "ECR, by keys of the environment",
    env: { EFFECT_OCI_KEYCHAINS: "aws", ...awsKeys },
    reference: ecrReference,
    exchanges: ecr("AKIA1"),
    calls: asked(ecrReference, `POST ${ecrApi}`),
    secrets: ecrSecrets
  },
  {
    // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
    name: "ECR, by the role of a machine",
    env: { EFFECT_OCI_KEYCHAINS: "aws" },
    reference: ecrReference,
    exchanges: {
      ...ecr("ASIA1", "canary-session"),
      [`PUT ${imds}/api/token`]: () => ({ body: "imds==" }),
      [`GET ${imds}/meta-data/iam/security-credentials/`]: ({ headers }) =>
        headers["x-aws-ec2-metadata-token"] === "imds==" ? { body: "puller" } : { status: 401 },
      [`GET ${imds}/meta-data/iam/security-credentials/puller`]: ({ headers }) =>
        headers["x-aws-ec2-metadata-token"] === "imds==" ? { body: { Code: "Success", ...roleKeys } } : { status: 401 }
    },
    calls: asked(
      ecrReference,
      `PUT ${imds}/api/token`,
      `GET ${imds}/meta-data/iam/security-credentials/`,
      `GET ${imds}/meta-data/iam/security-credentials/puller`,
      `POST ${ecrApi}`
    ),
    secrets: { ...ecrSecrets, "canary-session": ["api.ecr.eu-west-1.amazonaws.com"], "imds==": ["169.254.169.254"] }
  },
  {
    // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
    name: "ECR, by the role of a container",
    env: { EFFECT_OCI_KEYCHAINS: "aws", AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: "/v2/credentials/1" },
    reference: ecrReference,
    exchanges: {
      ...ecr("ASIA1", "canary-session"),
      "GET http://169.254.170.2/v2/credentials/1": () => ({ body: roleKeys })
    },
    calls: asked(ecrReference, "GET http://169.254.170.2/v2/credentials/1", `POST ${ecrApi}`),
    secrets: { ...ecrSecrets, "canary-session": ["api.ecr.eu-west-1.amazonaws.com"] }
  },
  {
    // https://docs.aws.amazon.com/AmazonECRPublic/latest/APIReference/API_GetAuthorizationToken.html
    name: "ECR Public",
    env: { EFFECT_OCI_KEYCHAINS: "aws", ...awsKeys },
    reference: "public.ecr.aws/acme/app:1",
    exchanges: {
      ...bearer({
        reference: "public.ecr.aws/acme/app:1",
        realm: "https://public.ecr.aws/token/",
        service: "public.ecr.aws",
        scope: "repository:acme/app:pull",
        token: "public-token",
        credential: basic("AWS", "canary-ecr")
      }),
      "POST https://api.ecr-public.us-east-1.amazonaws.com/": ({ headers }) =>
        headers["x-amz-target"] === "SpencerFrontendService.GetAuthorizationToken"
          ? { body: { authorizationData: authorizationData("https://public.ecr.aws") } }
          : { status: 400, body: {} }
    },
    calls: asked(
      "public.ecr.aws/acme/app:1",
      "POST https://api.ecr-public.us-east-1.amazonaws.com/",
      "GET https://public.ecr.aws/token/"
    ),
    secrets: { "canary-ecr": ["public.ecr.aws"], "canary-aws": [] }
  },
  {
    // https://cloud.google.com/compute/docs/access/authenticate-workloads
    name: "Artifact Registry, by the service account of a machine",
    env: { EFFECT_OCI_KEYCHAINS: "google" },
    reference: garReference,
    exchanges: {
      ...bearer({
        reference: garReference,
        realm: `https://${garHost}/v2/token`,
        service: garHost,
        scope: "repository:acme/repo/app:pull",
        token: "gar-token",
        credential: basic("oauth2accesstoken", "canary-ya29")
      }),
      "GET http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token": ({ headers }) =>
        headers["metadata-flavor"] === "Google"
          ? { headers: { "metadata-flavor": "Google" }, body: googleToken }
          : { status: 403 }
    },
    calls: asked(
      garReference,
      "GET http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token",
      `GET https://${garHost}/v2/token`
    ),
    secrets: { "canary-ya29": [garHost] }
  },
  {
    // https://developers.google.com/identity/protocols/oauth2/service-account
    name: "Container Registry of Google, by a key",
    env: { EFFECT_OCI_KEYCHAINS: "google", GOOGLE_APPLICATION_CREDENTIALS: "HOME/key.json" },
    files: { "key.json": JSON.stringify(robot) },
    reference: gcrReference,
    exchanges: {
      ...bearer({
        reference: gcrReference,
        realm: "https://gcr.io/v2/token",
        service: "gcr.io",
        scope: "repository:acme/app:pull",
        token: "gcr-token",
        credential: basic("oauth2accesstoken", "canary-ya29")
      }),
      "POST https://oauth2.googleapis.com/token": (seen) => {
        const { assertion, grant_type } = formOf(seen)
        return grant_type === "urn:ietf:params:oauth:grant-type:jwt-bearer" && isSigned(assertion)
          ? { body: googleToken }
          : { status: 400, body: { error: "invalid_grant" } }
      }
    },
    calls: asked(gcrReference, "POST https://oauth2.googleapis.com/token", "GET https://gcr.io/v2/token"),
    secrets: { "canary-ya29": ["gcr.io"], "PRIVATE KEY": [] }
  },
  {
    // https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
    name: "ACR, by a service principal",
    env: {
      EFFECT_OCI_KEYCHAINS: "azure",
      AZURE_TENANT_ID: "tenant",
      AZURE_CLIENT_ID: "client",
      AZURE_CLIENT_SECRET: "canary-azure"
    },
    reference: acrReference,
    exchanges: {
      ...acr,
      "POST https://login.microsoftonline.com/tenant/oauth2/v2.0/token": (seen) => {
        const { client_id, client_secret, grant_type, scope } = formOf(seen)
        return client_id === "client" && client_secret === "canary-azure" && grant_type === "client_credentials" &&
            scope === "https://containerregistry.azure.net/.default"
          ? { body: aadToken }
          : { status: 401, body: { error: "invalid_client" } }
      }
    },
    calls: acrCalls("POST https://login.microsoftonline.com/tenant/oauth2/v2.0/token"),
    secrets: { "canary-azure": ["login.microsoftonline.com"], "canary-aad": [acrHost], "canary-acr": [acrHost] }
  },
  {
    // https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
    name: "ACR, by the identity of a machine",
    env: { EFFECT_OCI_KEYCHAINS: "azure" },
    reference: acrReference,
    exchanges: {
      ...acr,
      "GET http://169.254.169.254/metadata/identity/oauth2/token": ({ headers, query }) =>
        headers["metadata"] === "true" && query.get("resource") === "https://containerregistry.azure.net" &&
          query.get("api-version") === "2018-02-01"
          ? { body: aadToken }
          : { status: 400, body: { error: "invalid_request" } }
    },
    calls: acrCalls("GET http://169.254.169.254/metadata/identity/oauth2/token"),
    secrets: { "canary-aad": [acrHost], "canary-acr": [acrHost] }
  },
  byPassword({
    // https://docs.github.com/packages/working-with-a-github-packages-registry/working-with-the-container-registry
    name: "GHCR",
    env: { EFFECT_OCI_KEYCHAINS: "github", GITHUB_TOKEN: "canary-github", GITHUB_ACTOR: "ann" },
    host: "ghcr.io",
    realm: "https://ghcr.io/token",
    service: "ghcr.io",
    password: "canary-github"
  }),
  byPassword({
    // https://docs.docker.com/reference/api/registry/auth/
    name: "Docker Hub, whose token server has a host of its own",
    env: { DOCKER_CONFIG: "HOME/.docker" },
    files: {
      ".docker/config.json": JSON.stringify({
        auths: { "https://index.docker.io/v1/": { auth: base64("ann:canary-hub") } }
      })
    },
    host: "docker.io",
    api: "registry-1.docker.io",
    realm: "https://auth.docker.io/token",
    service: "registry.docker.io",
    password: "canary-hub"
  }),
  byPassword({
    // https://docs.gitlab.com/user/packages/container_registry/authenticate_with_container_registry/
    name: "GitLab, whose token server has a host of its own",
    env: {
      EFFECT_OCI_REGISTRY: "registry.gitlab.com",
      EFFECT_OCI_USERNAME: "ann",
      EFFECT_OCI_PASSWORD: "canary-gitlab"
    },
    host: "registry.gitlab.com",
    realm: "https://gitlab.com/jwt/auth",
    service: "container_registry",
    password: "canary-gitlab"
  })
]

/** Where a request says a secret, as it is or in base64. */
const says = ({ body, headers, query }: Clouds.Seen, secret: string): boolean => {
  const text = JSON.stringify([headers, [...query], decodeURIComponent(body.replaceAll("+", " "))])
  const pairs = (headers.authorization?.startsWith("Basic ") ?? false)
    ? Buffer.from(headers.authorization!.slice(6), "base64").toString()
    : ""
  return text.includes(secret) || pairs.includes(secret)
}

const run = Effect.fnUntraced(function*(client: keyof typeof Clouds.clients, one: Case) {
  const fs = yield* FileSystem.FileSystem
  const home = yield* fs.makeTempDirectoryScoped()
  for (const [name, text] of Object.entries(one.files ?? {})) {
    yield* fs.makeDirectory(`${home}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true })
    yield* fs.writeFileString(`${home}/${name}`, text)
  }
  const { layer, seen } = yield* Clouds.make(client, one.exchanges)
  const env = { HOME: home, DOCKER_CONFIG: home }
  for (const [name, value] of Object.entries(one.env)) {
    Object.assign(env, { [name]: value.replace(/^HOME(?=\/)/, home) })
  }
  const program = Remote.layer.pipe(
    Layer.provide(Transport.layer),
    Layer.provide(NodeOci.keychain),
    Layer.provide(layer),
    Layer.provideMerge(NodeHasher.layer),
    Layer.provide(NodeServices.layer),
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))
  )
  const result = yield* Effect.flatMap(Remote.Remote, (remote) => remote.get(one.reference)).pipe(
    Effect.provide(program),
    Effect.result
  )
  return { result, seen }
})

describe.each(Object.keys(Clouds.clients) as Array<keyof typeof Clouds.clients>)("clouds, by %s", (client) => {
  it.live.each(cases)("$name", (one) =>
    Effect.gen(function*() {
      const { result, seen } = yield* run(client, one)
      // With the ping the manifest is asked for as from nobody, whichever of them comes first.
      const known = seen.filter(({ call, headers }) =>
        !call.includes("/manifests/") || headers.authorization !== undefined
      )
      assert.deepStrictEqual(known.map(({ call }) => call), [...one.calls])
      assert.strictEqual(String(result._tag === "Success" && result.success.descriptor.digest), digest, String(result))
      for (const [secret, hosts] of Object.entries(one.secrets)) {
        assert.deepStrictEqual(
          [...new Set(seen.filter((request) => says(request, secret)).map(({ host }) => host))],
          [...hosts],
          secret
        )
      }
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
})
