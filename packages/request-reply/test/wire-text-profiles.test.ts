/** The bytes of the profiles with text ids, as the real things write them; test/interop holds them against those. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { RawHeader } from '../src/wire/headers.ts'
import { nestProfile } from '../src/wire/nest.ts'
import { textCorrelation } from '../src/wire/correlation-form.ts'
import type { WireProfile } from '../src/wire/profile.ts'
import { smallryeProfile } from '../src/wire/smallrye.ts'
import { springTextProfile } from '../src/wire/spring-text.ts'

const id = Buffer.from('f47ac10b58cc4372a5670e02b2c3d479', 'hex')
const uuid = 'f47ac10b-58cc-4372-a567-0e02b2c3d479'
const raw = (name: string, value: Buffer | string | null): RawHeader => [
  Buffer.from(name),
  typeof value === 'string' ? Buffer.from(value) : value,
]

function written(profile: WireProfile): [string, string | undefined][] {
  const headers = [
    profile.correlationHeader(id),
    ...profile.addressHeaders({ topic: 'pay', partition: 258 }),
    ...(profile.replyHeaders ?? []),
    ...(profile.errorHeaders?.({ code: 'NO', message: 'nö "x"' }) ?? []),
  ]
  return headers.map(([name, value]) => [name.toString(), value?.toString('latin1')])
}

const refusal = (profile: WireProfile, ...headers: RawHeader[]): string => {
  const result = profile.readReplyRequest(headers)
  assert.ok(typeof result === 'string', 'it can be answered')
  return result
}

it('spring-text: the id as the text of a UUID, the partition as an int32', () => {
  assert.deepEqual(written(springTextProfile), [
    ['kafka_correlationId', uuid],
    ['kafka_replyTopic', 'pay'],
    ['kafka_replyPartition', '\0\0\x01\x02'],
  ])
  const digits = raw('kafka_replyPartition', '258')
  assert.match(
    refusal(springTextProfile, raw('kafka_correlationId', uuid), raw('kafka_replyTopic', 'pay'), digits),
    /kafka_replyPartition has 3 bytes instead of 4/,
  )
})

it('smallrye: names of its own, the id as the text of a UUID, the partition as an int32, an error as text', () => {
  assert.deepEqual(written(smallryeProfile), [
    ['REPLY_CORRELATION_ID', uuid],
    ['REPLY_TOPIC', 'pay'],
    ['REPLY_PARTITION', '\0\0\x01\x02'],
    ['REPLY_ERROR', Buffer.from('nö "x"').toString('latin1')],
  ])
  for (const [value, message] of [
    ['card expired', 'card expired'],
    ['', ''],
    [null, ''],
  ] as const)
    assert.deepEqual(smallryeProfile.readError!([raw('REPLY_ERROR', value)]), {
      code: 'REPLY_ERROR',
      message,
    })
})

describe('nest', () => {
  it('has text for all of them, and an error as the object that its exception filter makes', () => {
    assert.deepEqual(written(nestProfile), [
      ['kafka_correlationId', uuid],
      ['kafka_replyTopic', 'pay'],
      ['kafka_replyPartition', '258'],
      ['kafka_nest-is-disposed', '\0'],
      [
        'kafka_nest-err',
        Buffer.from('{"status":"error","code":"NO","message":"nö \\"x\\""}').toString('latin1'),
      ],
    ])
  })

  it('takes a partition of decimal digits only, up to the largest int32', () => {
    const asked = [raw('kafka_correlationId', 'V1StGXR8_Z5jdHi6B-myT'), raw('kafka_replyTopic', 'pay.reply')]
    for (const [text, partition] of [
      ['0', 0],
      ['12', 12],
      ['2147483647', 2 ** 31 - 1],
    ] as const)
      assert.deepEqual(nestProfile.readReplyRequest([...asked, raw('kafka_replyPartition', text)]), {
        correlationId: Buffer.from('V1StGXR8_Z5jdHi6B-myT'),
        address: { topic: 'pay.reply', partition },
      })
    for (const text of ['-1', '1.5', ' 1', '0x1', '1e3', '\0\0\0\x01'])
      assert.match(refusal(nestProfile, ...asked, raw('kafka_replyPartition', text)), /is no decimal number/)
    for (const text of ['', '00000000001'])
      assert.match(refusal(nestProfile, ...asked, raw('kafka_replyPartition', text)), /1 to 10 decimal/)
    for (const text of ['2147483648', '9999999999'])
      assert.match(refusal(nestProfile, ...asked, raw('kafka_replyPartition', text)), /at most 2147483647/)
  })

  it('reads an error as text, as an object of its filter, and as any other', () => {
    for (const [value, code, message] of [
      ['card expired', 'NEST_ERROR', 'card expired'],
      ['{"status":"error","message":"card expired"}', 'NEST_ERROR', 'card expired'],
      ['{"code":"CARD_DECLINED","message":"card expired"}', 'CARD_DECLINED', 'card expired'],
      ['{"code":14,"message":"away"}', '14', 'away'],
      ['{"message":["a","b"]}', 'NEST_ERROR', '{"message":["a","b"]}'],
      ['{"code":"","reason":1}', 'NEST_ERROR', '{"code":"","reason":1}'],
      ['{broken', 'NEST_ERROR', '{broken'],
      ['["a"]', 'NEST_ERROR', '["a"]'],
      ['', 'NEST_ERROR', ''],
      [null, 'NEST_ERROR', ''],
    ] as const)
      assert.deepEqual(nestProfile.readError!([raw('kafka_nest-err', value)]), { code, message })
  })

  it('parses no error of more than 64 KiB', () => {
    const long = `{"code":"LONG","message":"${'x'.repeat(65_536)}"}`
    const read = nestProfile.readError!([raw('kafka_nest-err', long)])
    assert.deepEqual(read, { code: 'NEST_ERROR', message: long.slice(0, 2048) })
  })

  it('knows which record ends a stream of replies', () => {
    assert.equal(nestProfile.endsReplies!([raw('kafka_nest-is-disposed', Buffer.alloc(1))]), true)
    assert.equal(nestProfile.endsReplies!([raw('kafka_correlationId', uuid)]), false)
  })
})

it('a text that is not quite a UUID’s as we write it is none of our ids', () => {
  assert.deepEqual(textCorrelation.read(Buffer.from(uuid)), id)
  for (const dash of [8, 13, 18, 23]) {
    const text = `${uuid.slice(0, dash)}0${uuid.slice(dash + 1)}`
    assert.equal(textCorrelation.read(Buffer.from(text)), undefined, text)
  }
  for (const text of [uuid.toUpperCase(), `${uuid} `, uuid.slice(1), uuid.replace('f', 'g')])
    assert.equal(textCorrelation.read(Buffer.from(text)), undefined, text)
})
