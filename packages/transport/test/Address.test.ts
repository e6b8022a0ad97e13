import { assert, describe, it } from "@effect/vitest"
import * as Address from "../src/Address.ts"

/** As people and attackers write them; a `URL` makes one spelling of many. */
const internal = [
  "127.0.0.1",
  "127.1",
  "127.0.0.1.",
  "2130706433",
  "0x7f000001",
  "0x7f.0.0.1",
  "0177.0.0.1",
  "017700000001",
  "１２７.０.０.１",
  "127。0。0。1",
  "localhost",
  "LOCALHOST",
  "localhost.",
  "a.localhost",
  "a.localhost.",
  "0.0.0.0",
  "0",
  "10.0.0.1",
  "10.255.255.255",
  "100.64.0.1",
  "100.127.255.254",
  "169.254.169.254",
  "0xa9fea9fe",
  "2852039166",
  "172.16.0.1",
  "172.31.255.255",
  "192.0.0.1",
  "192.168.1.1",
  "192.168.257",
  "224.0.0.1",
  "255.255.255.255",
  "[::]",
  "[::1]",
  "[0:0:0:0:0:0:0:1]",
  "[::ffff:127.0.0.1]",
  "[::ffff:a9fe:a9fe]",
  "[0:0:0:0:0:ffff:10.0.0.1]",
  "[::ffff:0:127.0.0.1]",
  "[::127.0.0.1]",
  "[64:ff9b::169.254.169.254]",
  "[64:ff9b::a9fe:a9fe]",
  "[64:ff9b:1::1]",
  "[2002:7f00:1::]",
  "[2002:a9fe:a9fe::1]",
  "[2001:0:4136:e378::1]",
  "[fc00::1]",
  "[fd12:3456::1]",
  "[fe80::1]",
  "[febf::1]",
  "[fec0::1]",
  "[ff02::1]"
]

const external = [
  "ghcr.io",
  "localhost.example",
  "127.0.0.1.example",
  "10.example",
  "1.1.1.1",
  "9.255.255.255",
  "11.0.0.1",
  "100.63.255.255",
  "100.128.0.1",
  "169.253.0.1",
  "172.15.0.1",
  "172.32.0.1",
  "192.167.0.1",
  "192.0.1.1",
  "223.255.255.255",
  "[2606:4700:4700::1111]",
  "[::ffff:1.1.1.1]",
  "[64:ff9b::1.1.1.1]",
  "[2002:101:101::1]",
  "[2001:db8::1]"
]

const hostname = (host: string) => new URL(`http://${host}/`).hostname

describe("Address", () => {
  describe("isInternal", () => {
    it.each(internal)("knows %s", (host) => {
      assert.isTrue(Address.isInternal(hostname(host)))
    })

    it.each(external)("lets %s pass", (host) => {
      assert.isFalse(Address.isInternal(hostname(host)))
    })

    it.each(["127.0.0.1", "::1", "fe80::1%eth0", "::ffff:10.0.0.1", "::ffff:7f00:1", "no:address"])(
      "knows %s as a resolver says it",
      (address) => {
        assert.isTrue(Address.isInternal(address))
      }
    )

    it.each(["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"])("lets %s pass as a resolver says it", (address) => {
      assert.isFalse(Address.isInternal(address))
    })
  })

  it("says which host is at which address", () => {
    assert.strictEqual(Address.refusal("1.1.1.1"), undefined)
    assert.strictEqual(Address.refusal("127.0.0.1")?.message, "127.0.0.1 is an internal address")
    assert.strictEqual(Address.refusal("evil.test", "::1")?.message, "evil.test is at the internal address ::1")
  })
})
