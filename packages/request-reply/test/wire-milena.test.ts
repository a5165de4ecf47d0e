import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  deadlineHeader,
  errorHeaders,
  headerBounds,
  instanceHeader,
  operationHeader,
  readDeadline,
  readError,
  readInstance,
  readOperation,
} from '../src/wire/milena.ts'
import type { RawHeader } from '../src/wire/headers.ts'

const raw = (name: string, value: string | Buffer | null): RawHeader => [
  Buffer.from(name),
  typeof value === 'string' ? Buffer.from(value) : value,
]
const shown = (headers: readonly RawHeader[]): [string, string][] =>
  headers.map(([name, value]) => [String(name), String(value)])

describe('Milena headers, written', () => {
  it('are plain text under their documented names', () => {
    assert.deepEqual(
      shown([
        operationHeader('payment.approve'),
        instanceHeader('gw-1'),
        deadlineHeader(1_700_000_000_000),
        ...errorHeaders('CARD_DECLINED', 'nö'),
      ]),
      [
        ['milena-operation', 'payment.approve'],
        ['milena-instance', 'gw-1'],
        ['milena-deadline', '1700000000000'],
        ['milena-error-code', 'CARD_DECLINED'],
        ['milena-error-message', 'nö'],
      ],
    )
  })

  it('has the deadline in whole milliseconds, rounded up so that it is never earlier', () => {
    assert.deepEqual(shown([deadlineHeader(1_000.2)]), [['milena-deadline', '1001']])
  })

  it('cuts an error to its bounds between characters, so that it stays readable text', () => {
    const headers = errorHeaders('C'.repeat(500), `${'x'.repeat(2047)}ü and more`)
    assert.equal(headers[0]![1]?.length, headerBounds.errorCode)
    assert.equal(headers[1]![1]?.length, 2047)
    assert.deepEqual(readError(headers), { code: 'C'.repeat(128), message: 'x'.repeat(2047) })
    const emoji = readError(errorHeaders('C', '😀'.repeat(1000)))
    assert.equal(emoji?.message, '😀'.repeat(512))
  })
})

describe('Milena headers, read', () => {
  it('are read as they were written', () => {
    assert.equal(readOperation([operationHeader('größe')]), 'größe')
    assert.equal(readInstance([instanceHeader('gw-1')]), 'gw-1')
    assert.equal(readDeadline([deadlineHeader(1_700_000_000_000)]), 1_700_000_000_000)
    assert.deepEqual(readError(errorHeaders('A', 'b')), { code: 'A', message: 'b' })
  })

  it('count as absent when they are absent, null or beyond their bound', () => {
    const readers = [
      ['milena-operation', readOperation, headerBounds.operation],
      ['milena-instance', readInstance, headerBounds.instance],
    ] as const
    for (const [name, read, bound] of readers) {
      assert.equal(read([]), undefined)
      assert.equal(read([raw(name, null)]), undefined)
      assert.equal(read([raw(name, '')]), undefined)
      assert.equal(read([raw(name, 'x'.repeat(bound))]), 'x'.repeat(bound))
      assert.equal(read([raw(name, 'x'.repeat(bound + 1))]), undefined)
    }
  })

  it('take the last of a name', () => {
    assert.equal(readOperation([operationHeader('a'), operationHeader('b')]), 'b')
    assert.equal(readDeadline([deadlineHeader(1), deadlineHeader(2)]), 2)
  })

  it('takes a deadline of 1 to 16 decimal digits and nothing else', () => {
    assert.equal(readDeadline([raw('milena-deadline', '0')]), 0)
    assert.equal(readDeadline([raw('milena-deadline', '8'.repeat(15))]), 888_888_888_888_888)
    assert.equal(readDeadline([raw('milena-deadline', `1${'0'.repeat(15)}`)]), 1e15)
    for (const bad of [
      '',
      '-1',
      '1.5',
      '1e3',
      ' 1',
      '1\n',
      '0x10',
      '١',
      'NaN',
      '9'.repeat(17),
      Buffer.alloc(8),
    ])
      assert.equal(readDeadline([raw('milena-deadline', bad)]), undefined, JSON.stringify(bad))
    assert.equal(readDeadline([raw('milena-deadline', null)]), undefined)
  })

  it('is an error reply however long its code is: an error is never taken for a value', () => {
    assert.deepEqual(readError([raw('milena-error-code', 'ü'.repeat(100))]), {
      code: 'ü'.repeat(64),
      message: '',
    })
    assert.deepEqual(readError([raw('milena-error-code', '')]), { code: '', message: '' })
    assert.equal(readError([raw('milena-error-code', null)]), undefined)
  })

  it('is an error reply only with a code; without a message the message is empty', () => {
    assert.equal(readError([]), undefined)
    assert.equal(readError([raw('milena-error-message', 'alone')]), undefined)
    assert.deepEqual(readError([raw('milena-error-code', 'A')]), { code: 'A', message: '' })
    assert.deepEqual(
      readError([raw('milena-error-code', 'A'), raw('milena-error-message', 'x'.repeat(2049))]),
      {
        code: 'A',
        message: '',
      },
    )
  })
})
