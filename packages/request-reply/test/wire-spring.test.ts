import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { springProfile } from '../src/wire/spring.ts'
import type { RawHeader } from '../src/wire/headers.ts'

const id = Buffer.from('00112233445566778899aabbccddeeff', 'hex')
const raw = (name: string, value: Buffer | null): RawHeader => [Buffer.from(name), value]
const correlation = raw('kafka_correlationId', id)
const replyTopic = raw('kafka_replyTopic', Buffer.from('payment_reply'))
const partition = (hex: string): RawHeader => raw('kafka_replyPartition', Buffer.from(hex, 'hex'))

function bytes(headers: readonly RawHeader[]): [string, string | undefined][] {
  return headers.map(([name, value]) => [name.toString('latin1'), value?.toString('hex')])
}

const read = (...headers: RawHeader[]): ReturnType<typeof springProfile.readReplyRequest> =>
  springProfile.readReplyRequest(headers)

const refusal = (...headers: RawHeader[]): string => {
  const result = read(...headers)
  assert.ok(typeof result === 'string', 'it can be answered')
  return result
}

describe('spring profile, written', () => {
  it('has the correlation id as its 16 raw bytes', () => {
    assert.deepEqual(bytes([springProfile.correlationHeader(id)]), [
      ['kafka_correlationId', '00112233445566778899aabbccddeeff'],
    ])
  })

  it('has the reply topic as UTF-8 and the partition as a big-endian int32', () => {
    assert.deepEqual(bytes(springProfile.addressHeaders({ topic: 'payment_reply', partition: 258 })), [
      ['kafka_replyTopic', Buffer.from('payment_reply').toString('hex')],
      ['kafka_replyPartition', '00000102'],
    ])
    assert.deepEqual(bytes(springProfile.addressHeaders({ topic: 't', partition: 0 }))[1], [
      'kafka_replyPartition',
      '00000000',
    ])
  })

  it('has no partition header when the address has no partition', () => {
    assert.deepEqual(bytes(springProfile.addressHeaders({ topic: 't' })), [['kafka_replyTopic', '74']])
  })
})

describe('spring profile, a reply read', () => {
  it('takes a correlation id of 16 bytes, the last one', () => {
    const other = raw('kafka_correlationId', Buffer.alloc(16, 1))
    assert.deepEqual(springProfile.readCorrelation([other, correlation]), id)
  })

  it('takes none that cannot be its own: absent, null, too short, too long', () => {
    assert.equal(springProfile.readCorrelation([]), undefined)
    for (const value of [
      null,
      Buffer.alloc(0),
      Buffer.alloc(15),
      Buffer.alloc(17),
      Buffer.from(id.toString('hex')),
    ])
      assert.equal(springProfile.readCorrelation([raw('kafka_correlationId', value)]), undefined)
  })

  it('does not fall back on an earlier id when the last one is none', () => {
    assert.equal(springProfile.readCorrelation([correlation, raw('kafka_correlationId', null)]), undefined)
  })
})

describe('spring profile, a request read', () => {
  it('has id and address', () => {
    assert.deepEqual(read(correlation, replyTopic, partition('00000102')), {
      correlationId: id,
      address: { topic: 'payment_reply', partition: 258 },
    })
    assert.deepEqual(read(correlation, replyTopic), {
      correlationId: id,
      address: { topic: 'payment_reply' },
    })
  })

  it('takes the last header of each name', () => {
    const earlier = [raw('kafka_correlationId', Buffer.from('x')), raw('kafka_replyTopic', Buffer.from('x'))]
    assert.deepEqual(read(...earlier, partition('00'), correlation, replyTopic, partition('7fffffff')), {
      correlationId: id,
      address: { topic: 'payment_reply', partition: 2 ** 31 - 1 },
    })
  })

  it('echoes a foreign correlation id of any form, up to 255 bytes', () => {
    for (const foreign of [
      Buffer.from('f47ac10b-58cc-4372-a567-0e02b2c3d479'),
      Buffer.alloc(1),
      Buffer.alloc(255, 7),
    ])
      assert.deepEqual(read(raw('kafka_correlationId', foreign), replyTopic), {
        correlationId: foreign,
        address: { topic: 'payment_reply' },
      })
    assert.match(refusal(raw('kafka_correlationId', Buffer.alloc(256)), replyTopic), /256 bytes, at most 255/)
  })

  it('cannot be answered without a correlation id', () => {
    for (const headers of [
      [],
      [raw('kafka_correlationId', null)],
      [raw('kafka_correlationId', Buffer.alloc(0))],
    ])
      assert.match(refusal(...headers, replyTopic), /no kafka_correlationId/)
  })

  it('asks for no reply with neither id nor topic', () => {
    assert.equal(read(), undefined)
    assert.equal(read(raw('kafka_correlationId', null), raw('kafka_replyTopic', null)), undefined)
  })

  it('has no address when there is no reply topic, whatever the partition says', () => {
    for (const headers of [[], [raw('kafka_replyTopic', null)], [raw('kafka_replyTopic', Buffer.alloc(0))]])
      assert.deepEqual(read(correlation, ...headers, partition('00')), {
        correlationId: id,
        address: undefined,
      })
  })

  it('takes a partition of exactly four bytes, and none below zero', () => {
    for (const hex of ['', '00', '000000', '0000000000', Buffer.from('3').toString('hex')])
      assert.match(
        refusal(correlation, replyTopic, partition(hex)),
        /kafka_replyPartition has \d bytes instead of 4/,
      )
    assert.match(refusal(correlation, replyTopic, partition('ffffffff')), /kafka_replyPartition is -1/)
    assert.match(
      refusal(correlation, replyTopic, partition('80000000')),
      /kafka_replyPartition is -2147483648/,
    )
  })

  it('takes a null partition as none', () => {
    assert.deepEqual(read(correlation, replyTopic, raw('kafka_replyPartition', null)), {
      correlationId: id,
      address: { topic: 'payment_reply' },
    })
  })

  it('takes a topic name of at most 249 bytes', () => {
    const longest = 'x'.repeat(249)
    assert.deepEqual(read(correlation, raw('kafka_replyTopic', Buffer.from(longest))), {
      correlationId: id,
      address: { topic: longest },
    })
    assert.match(refusal(correlation, raw('kafka_replyTopic', Buffer.from(`${longest}x`))), /250 bytes/)
  })

  it('reads what it has written', () => {
    for (const address of [
      { topic: 'größe' },
      { topic: 't', partition: 0 },
      { topic: 't', partition: 2 ** 31 - 1 },
    ])
      assert.deepEqual(read(springProfile.correlationHeader(id), ...springProfile.addressHeaders(address)), {
        correlationId: id,
        address,
      })
  })
})
