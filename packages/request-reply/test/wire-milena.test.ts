import assert from 'node:assert/strict'
import { longestReplayOf } from '../src/wire/dead-letter.ts'
import { readFile } from 'node:fs/promises'
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
  readTimeout,
  timeoutHeader,
} from '../src/wire/milena.ts'
import type { RawHeader } from '../src/wire/headers.ts'

const raw = (name: string, value: string | Buffer | null): RawHeader => [
  Buffer.from(name),
  typeof value === 'string' ? Buffer.from(value) : value,
]
/** What an error says that says nothing of it. */
const nothing = { effect: undefined, retryable: false }
const shown = (headers: readonly RawHeader[]): [string, string][] =>
  headers.map(([name, value]) => [String(name), String(value)])

/** The names of an error's headers. */
const names = (error: Parameters<typeof errorHeaders>[0]): string[] =>
  shown(errorHeaders(error)).map(([name]) => name)

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

describe('docs/headers.md', () => {
  it('lists every header of ours, with its bound', async () => {
    const page = await readFile(new URL('../../../docs/headers.md', import.meta.url), 'utf8')
    const listed = [...page.matchAll(/^\| `milena-([a-z-]+)` \| [^|]+ \| ([^|;]+?)[|;]/gm)].map(
      ([, name, bound]) => [name, Number(/([\d ]+)$/.exec(bound!.trim())?.[1]?.replaceAll(' ', ''))],
    )
    const letters = { dltCode: 128, dltOperation: 255, replayOf: longestReplayOf }
    const ours = Object.entries({ ...headerBounds, ...letters }).map(([name, bound]) => [kebab(name), bound])
    assert.deepEqual(Object.fromEntries(listed), Object.fromEntries(ours))
  })
})

describe('Milena headers, written', () => {
  it('are plain text under their documented names', () => {
    assert.deepEqual(
      shown([
        operationHeader('payment.approve'),
        instanceHeader('gw-1'),
        deadlineHeader(1_700_000_000_000),
        timeoutHeader(5_000),
        ...errorHeaders({ code: 'CARD_DECLINED', message: 'nö', effect: 'none', retryable: true }),
      ]),
      [
        ['milena-operation', 'payment.approve'],
        ['milena-instance', 'gw-1'],
        ['milena-deadline', '1700000000000'],
        ['milena-timeout', '5000'],
        ['milena-error-code', 'CARD_DECLINED'],
        ['milena-error-message', 'nö'],
        ['milena-error-effect', 'none'],
        ['milena-error-retryable', 'true'],
      ],
    )
  })

  it('has deadline and timeout in whole milliseconds, rounded up so that they are never earlier', () => {
    assert.deepEqual(shown([deadlineHeader(1_000.2)]), [['milena-deadline', '1001']])
    assert.deepEqual(shown([timeoutHeader(0.2)]), [['milena-timeout', '1']])
  })

  it('fits the longest timeout and every deadline into its bounds', () => {
    assert.ok(timeoutHeader(2_147_483_647)[1]!.length <= headerBounds.timeout)
    assert.ok(deadlineHeader(8.64e15)[1]!.length <= headerBounds.deadline)
    for (const effect of ['none', 'done', 'unknown']) assert.ok(effect.length <= headerBounds.errorEffect)
    for (const word of ['true', 'false']) assert.ok(word.length <= headerBounds.errorRetryable)
  })

  it('says of an error only what is more than nothing', () => {
    const always = ['milena-error-code', 'milena-error-message']
    assert.deepEqual(names({ code: 'C', message: 'm' }), always)
    assert.deepEqual(names({ code: 'C', message: 'm', effect: 'unknown', retryable: false }), always)
    assert.deepEqual(names({ code: 'C', message: 'm', effect: 'done' }), [...always, 'milena-error-effect'])
    assert.deepEqual(names({ code: 'C', message: 'm', retryable: true }), [
      ...always,
      'milena-error-retryable',
    ])
  })

  it('cuts an error to its bounds between characters, so that it stays readable text', () => {
    const headers = errorHeaders({ code: 'C'.repeat(500), message: `${'x'.repeat(2047)}ü and more` })
    assert.equal(headers[0]![1]?.length, headerBounds.errorCode)
    assert.equal(headers[1]![1]?.length, 2047)
    assert.deepEqual(readError(headers), { ...nothing, code: 'C'.repeat(128), message: 'x'.repeat(2047) })
    const emoji = readError(errorHeaders({ code: 'C', message: '😀'.repeat(1000) }))
    assert.equal(emoji?.message, '😀'.repeat(512))
  })
})

/** What is read of these two. */
const told = (effect: string | null, retryable: string | null): unknown => {
  const error = readError([
    raw('milena-error-code', 'A'),
    raw('milena-error-effect', effect),
    raw('milena-error-retryable', retryable),
  ])
  return [error?.effect, error?.retryable]
}

describe('Milena headers, read', () => {
  it('are read as they were written', () => {
    assert.equal(readOperation([operationHeader('größe')]), 'größe')
    assert.equal(readInstance([instanceHeader('gw-1')]), 'gw-1')
    assert.equal(readDeadline([deadlineHeader(1_700_000_000_000)]), 1_700_000_000_000)
    assert.equal(readTimeout([timeoutHeader(30_000)]), 30_000)
    assert.deepEqual(readError(errorHeaders({ code: 'A', message: 'b' })), {
      ...nothing,
      code: 'A',
      message: 'b',
    })
    for (const effect of ['none', 'done'] as const) {
      const said = { code: 'A', message: 'b', effect, retryable: true }
      assert.deepEqual(readError(errorHeaders(said)), said)
    }
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

  it('takes a timeout of 1 to 10 decimal digits and nothing else', () => {
    assert.equal(readTimeout([raw('milena-timeout', '9'.repeat(10))]), 9_999_999_999)
    for (const bad of ['', '-1', '1.5', '1e3', ' 1', 'Infinity', '9'.repeat(11), null])
      assert.equal(readTimeout([raw('milena-timeout', bad)]), undefined, JSON.stringify(bad))
  })

  it('takes of an effect its words, and of retryable true, and nothing else', () => {
    assert.deepEqual(told('none', 'true'), ['none', true])
    assert.deepEqual(told('done', 'false'), ['done', false])
    for (const bad of ['', 'None', 'unknown', 'none ', 'nonexxxx', 'x'.repeat(1000), null])
      assert.deepEqual(told(bad, bad), [undefined, false], String(bad))
    for (const bad of ['TRUE', '1', 'yes', 'true\n']) assert.deepEqual(told(null, bad), [undefined, false])
  })

  it('is an error reply however long its code is: an error is never taken for a value', () => {
    assert.deepEqual(readError([raw('milena-error-code', 'ü'.repeat(100))]), {
      ...nothing,
      code: 'ü'.repeat(64),
      message: '',
    })
    assert.deepEqual(readError([raw('milena-error-code', '')]), { ...nothing, code: '', message: '' })
    assert.equal(readError([raw('milena-error-code', null)]), undefined)
  })

  it('is an error reply only with a code; without a message the message is empty', () => {
    assert.equal(readError([]), undefined)
    assert.equal(readError([raw('milena-error-message', 'alone')]), undefined)
    assert.deepEqual(readError([raw('milena-error-code', 'A')]), { ...nothing, code: 'A', message: '' })
    assert.deepEqual(
      readError([raw('milena-error-code', 'A'), raw('milena-error-message', 'x'.repeat(2049))]),
      { ...nothing, code: 'A', message: '' },
    )
  })
})
