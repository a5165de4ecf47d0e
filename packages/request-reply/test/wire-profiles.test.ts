/** What every wire profile of the library keeps to; what each writes is in a file of its own. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { nestProfile } from '../src/wire/nest.ts'
import type { RawHeader } from '../src/wire/headers.ts'
import { errorHeaders } from '../src/wire/milena.ts'
import { readReplyError, type WireProfile } from '../src/wire/profile.ts'
import { ReservedHeaders } from '../src/wire/reserved-headers.ts'
import { smallryeProfile } from '../src/wire/smallrye.ts'
import { springTextProfile } from '../src/wire/spring-text.ts'
import { springProfile } from '../src/wire/spring.ts'

const id = Buffer.from('00112233445566778899aabbccddeeff', 'hex')
const addresses = [
  { topic: 'größe' },
  { topic: 't', partition: 0 },
  { topic: 'x'.repeat(249), partition: 2 ** 31 - 1 },
]
/** Values that no profile writes, for every header that one reads. */
const hostile = [
  null,
  Buffer.alloc(0),
  Buffer.alloc(1),
  Buffer.alloc(4, 0xff),
  Buffer.alloc(16, 0xff),
  Buffer.from('-1'),
  Buffer.from('{"message":'),
  Buffer.from('{"__proto__":{"code":1},"message":[[]]}'),
  Buffer.from('[null]'),
  Buffer.from('zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz'),
  Buffer.alloc(36, 0x2d),
  Buffer.alloc(255, 0xc3),
  Buffer.from('['.repeat(100_000)),
  Buffer.from(`{"message":${'['.repeat(30_000)}`),
]

function echoOf(profile: WireProfile, request: readonly RawHeader[]): RawHeader {
  const asked = profile.readReplyRequest(request)
  assert.ok(typeof asked === 'object', 'it can be answered')
  return profile.echoHeader?.(request) ?? profile.correlationHeader(asked.correlationId)
}

/** Of every header that the profile reads. */
function namesOf(profile: WireProfile): Buffer[] {
  return [
    profile.correlationHeader(id),
    ...profile.addressHeaders({ topic: 't', partition: 0 }),
    ...(profile.replyHeaders ?? []),
    ...(profile.errorHeaders?.({ code: 'C', message: 'm' }) ?? []),
  ].map(([name]) => name)
}

for (const profile of [springProfile, springTextProfile, nestProfile, smallryeProfile]) {
  describe(`profile ${profile.name}`, () => {
    const correlation = profile.correlationHeader(id)

    it('reads the address and the id of a request that it has written', () => {
      for (const address of addresses) {
        const asked = profile.readReplyRequest([correlation, ...profile.addressHeaders(address)])
        assert.deepEqual(asked, { correlationId: id, address })
      }
    })

    it('finds its id in the reply to it, which has the header of the request', () => {
      const echo = echoOf(profile, [correlation, ...profile.addressHeaders({ topic: 't' })])
      assert.deepEqual(echo, correlation)
      assert.deepEqual(profile.readCorrelation([echo]), id)
    })

    it('echoes an id of somebody else byte for byte, whatever its form and length', () => {
      const address = profile.addressHeaders({ topic: 't' })
      for (const foreign of [
        Buffer.from('V1StGXR8_Z5jdHi6B-myT'),
        Buffer.from('F47AC10B-58CC-4372-A567-0E02B2C3D479'),
        Buffer.from('sixteen letters.'),
        Buffer.alloc(1),
        Buffer.alloc(36, 0xff),
        Buffer.alloc(255, 7),
      ])
        assert.deepEqual(echoOf(profile, [[correlation[0], foreign], ...address]), [correlation[0], foreign])
    })

    it('takes no id in a reply that cannot be its own', () => {
      for (const value of hostile.filter((each) => each?.length !== 16))
        assert.equal(profile.readCorrelation([[correlation[0], value]]), undefined)
      assert.equal(profile.readCorrelation([]), undefined)
      assert.equal(profile.readCorrelation([correlation, [correlation[0], null]]), undefined)
    })

    it('tells one-way requests, those without an address, and those that cannot be answered', () => {
      const [topic] = profile.addressHeaders({ topic: 't' })
      assert.equal(profile.readReplyRequest([]), undefined)
      assert.deepEqual(profile.readReplyRequest([correlation]), { correlationId: id, address: undefined })
      assert.equal(typeof profile.readReplyRequest([topic!]), 'string')
      const long: RawHeader = [correlation[0], Buffer.alloc(256)]
      assert.match(profile.readReplyRequest([long, topic!]) as string, /256 bytes, at most 255 are echoed/)
      const name: RawHeader = [topic![0], Buffer.alloc(250, 'x')]
      assert.match(profile.readReplyRequest([correlation, name]) as string, /250 bytes/)
    })

    it('takes the last header of each name', () => {
      const [topic, partition] = profile.addressHeaders({ topic: 't', partition: 7 })
      const earlier = namesOf(profile).map((name): RawHeader => [name, Buffer.from('earlier')])
      assert.deepEqual(profile.readReplyRequest([...earlier, correlation, topic!, partition!]), {
        correlationId: id,
        address: { topic: 't', partition: 7 },
      })
      assert.deepEqual(profile.readCorrelation([...earlier, correlation]), id)
    })

    it('never throws, and never gives a partition that is none, whatever the headers are', () => {
      const names = namesOf(profile)
      for (const value of hostile) {
        for (const name of names) {
          const headers: RawHeader[] = [correlation, ...profile.addressHeaders({ topic: 't' }), [name, value]]
          profile.readCorrelation(headers)
          profile.echoHeader?.(headers)
          profile.endsReplies?.(headers)
          const error = profile.readError?.(headers)
          if (error !== undefined) {
            assert.ok(error.code.length > 0 && error.code.length <= 128)
            assert.ok(Buffer.byteLength(error.message) <= 3 * 2048) // what is not UTF-8 grows
          }
          const asked = profile.readReplyRequest(headers)
          const partition = typeof asked === 'object' ? asked.address?.partition : undefined
          assert.ok(partition === undefined || (partition >= 0 && partition <= 0x7fffffff))
        }
      }
    })

    it('finds no error in a reply that has none, nor in the headers of a request', () => {
      const headers = [correlation, ...(profile.replyHeaders ?? [])]
      assert.equal(readReplyError(profile, headers), undefined)
      assert.equal(readReplyError(profile, [...headers, ...profile.addressHeaders(addresses[1]!)]), undefined)
    })

    it('knows an error of ours by our headers, and its own without them', () => {
      const said = { code: 'CARD_DECLINED', message: 'expired', effect: 'none', retryable: true } as const
      const written = profile.errorHeaders?.(said) ?? []
      assert.deepEqual(readReplyError(profile, [correlation, ...written, ...errorHeaders(said)]), said)
      if (written.length > 0) {
        const read = readReplyError(profile, [correlation, ...written])
        assert.equal(read?.message, 'expired')
        assert.equal(read.effect, undefined)
      }
    })

    it('bounds what an error says', () => {
      const written = profile.errorHeaders?.({ code: 'C'.repeat(500), message: '€'.repeat(100_000) }) ?? []
      for (const [, value] of written) assert.ok(value!.length < 8_192)
      const read = profile.readError?.(written)
      assert.ok(Buffer.byteLength(read?.message ?? '') <= 2048)
      assert.ok((read?.code ?? '').length <= 128)
    })

    it('keeps the names of all its headers to the library, whatever an application gives', () => {
      const reserved = new ReservedHeaders(profile)
      for (const name of namesOf(profile)) assert.ok(reserved.has(name), name.toString())
      assert.ok(!reserved.has(Buffer.from('traceparent')))
    })
  })
}
