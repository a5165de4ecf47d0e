import type { OutgoingRecord } from '../../transport/transport.ts'

/** Things that are given for records where nothing checks types: what each is, the thing, and what its error says. */
export function malformedRecords(topic: string): [what: string, record: OutgoingRecord, words: RegExp][] {
  const name = Buffer.from('name')
  const like = (changes: Record<string, unknown>): OutgoingRecord => ({
    topic,
    partition: 0,
    key: null,
    value: null,
    headers: [],
    ...changes,
  })
  const unreadable = {
    get topic(): string {
      throw new Error('secret')
    },
  }
  return [
    ['nothing', undefined as unknown as OutgoingRecord, /it is undefined/],
    ['text', 'secret' as unknown as OutgoingRecord, /it is a string/],
    ['a getter that throws', unreadable as OutgoingRecord, /cannot be read/],
    ['no topic', like({ topic: undefined }), /its topic is undefined/],
    ['a number for a topic', like({ topic: 7 }), /its topic is a number/],
    ['a symbol for a topic', like({ topic: Symbol('secret') }), /its topic is a symbol/],
    ['a topic name without end', like({ topic: 'x'.repeat(100_000) }), /100000 characters, of at most 249/],
    [
      'text for a value',
      like({ value: 'secret' }),
      /its value is a string, where a Buffer or null is wanted/,
    ],
    ['no value', like({ value: undefined }), /its value is undefined/],
    ['a list for a value', like({ value: [1, 2] }), /its value is an array/],
    [
      'wide numbers for a value',
      like({ value: new Uint16Array(4) }),
      /its value is an object of another kind/,
    ],
    ['an ArrayBuffer for a value', like({ value: new ArrayBuffer(4) }), /its value is an object/],
    ['text for a key', like({ key: 'secret' }), /its key is a string/],
    ['bytes that are no Buffer for a key', like({ key: new Uint8Array(5) }), /its key is an object/],
    ['no headers', like({ headers: undefined }), /its headers are undefined/],
    ['an object for headers', like({ headers: { name: 'secret' } }), /its headers are an object/],
    ['a set for headers', like({ headers: new Set([[name, name]]) }), /its headers are an object/],
    ['no pair for a header', like({ headers: [[name, name], 7] }), /its header 1 is a number/],
    [
      'text for a header’s name',
      like({ headers: [['secret', name]] }),
      /the name of its header 0 is a string/,
    ],
    ['null for a header’s name', like({ headers: [[null, name]] }), /the name of its header 0 is null/],
    [
      'text for a header’s value',
      like({ headers: [[name, 'secret']] }),
      /the value of its header 0 is a str/,
    ],
    ['a header without value', like({ headers: [[name]] }), /the value of its header 0 is undefined/],
  ]
}
