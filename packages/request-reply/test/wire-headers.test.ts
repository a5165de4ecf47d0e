import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encodeHeaders, lastHeader, MessageHeaders, type RawHeader } from '../src/wire/headers.ts'

const header = (name: string, value: string | null): RawHeader => [
  Buffer.from(name),
  value === null ? null : Buffer.from(value),
]

describe('record headers', () => {
  it('takes the last header of a name', () => {
    const headers = [header('a', '1'), header('b', '2'), header('a', '3'), header('ab', '4')]
    assert.equal(String(lastHeader(headers, Buffer.from('a'))), '3')
    assert.equal(String(lastHeader(headers, Buffer.from('b'))), '2')
  })

  it('tells a header that is not there from one whose value is null or empty', () => {
    const headers = [header('null', null), header('empty', '')]
    assert.equal(lastHeader(headers, Buffer.from('absent')), undefined)
    assert.equal(lastHeader(headers, Buffer.from('null')), null)
    assert.equal(lastHeader(headers, Buffer.from('empty'))?.length, 0)
    assert.equal(lastHeader([], Buffer.from('absent')), undefined)
  })

  it('takes a last header with a null value over an earlier one with bytes', () => {
    assert.equal(lastHeader([header('a', '1'), header('a', null)], Buffer.from('a')), null)
  })

  it('compares names byte for byte: case counts', () => {
    assert.equal(lastHeader([header('Name', '1')], Buffer.from('name')), undefined)
  })

  it('encodes text as UTF-8, keeps bytes and null, and keeps the order', () => {
    const encoded = encodeHeaders({ z: 'größer', a: new Uint8Array([0, 255]), n: null, e: '' })
    assert.deepEqual(encoded, [
      [Buffer.from('z'), Buffer.from('größer')],
      [Buffer.from('a'), Buffer.from([0, 255])],
      [Buffer.from('n'), null],
      [Buffer.from('e'), Buffer.alloc(0)],
    ])
  })

  it('copies the bytes that it was given, so that their owner may reuse them', () => {
    const bytes = new Uint8Array([1, 2])
    const encoded = encodeHeaders({ a: bytes })
    bytes[0] = 9
    assert.deepEqual(encoded[0]![1], Buffer.from([1, 2]))
  })

  it('shows a received record its headers by name, as text, and in order', () => {
    const headers = new MessageHeaders([header('a', '1'), header('n', null), header('a', 'ü')])
    assert.deepEqual(headers.get('a'), Buffer.from('ü'))
    assert.equal(headers.text('a'), 'ü')
    assert.equal(headers.get('n'), null)
    assert.equal(headers.text('n'), undefined)
    assert.equal(headers.get('x'), undefined)
    assert.equal(headers.text('x'), undefined)
    assert.deepEqual(
      [...headers].map(([name, value]) => [name, value?.toString()]),
      [
        ['a', '1'],
        ['n', undefined],
        ['a', 'ü'],
      ],
    )
  })
})
