import { indexes, topics } from './sample-request.ts'
import type { SampleRequest } from './sample-request.ts'

/** Those of groups and their offsets, by API key, with a value in every field that can have one. */
export const groupRequests: ReadonlyMap<number, SampleRequest> = new Map<number, SampleRequest>([
  [
    8,
    {
      version: 8,
      flexible: true,
      changes: true,
      body: (writer) => {
        writer.string('g')
        writer.int32(-1)
        writer.string('')
        writer.nullableString(null)
        topics(writer, () => {
          writer.int32(0)
          writer.int64(77)
          writer.int32(-1)
          writer.nullableString('metadata')
        })
        writer.tags()
      },
    },
  ],
  [
    9,
    {
      version: 8,
      flexible: true,
      body: (writer) => {
        writer.array(['g'], (group) => {
          writer.string(group)
          indexes(writer)
          writer.tags()
        })
        writer.boolean(true)
        writer.tags()
      },
    },
  ],
  [
    10,
    {
      version: 4,
      flexible: true,
      body: (writer) => {
        writer.int8(0)
        writer.array(['g'], (key) => writer.string(key))
        writer.tags()
      },
    },
  ],
  [
    11,
    {
      version: 9,
      flexible: true,
      body: (writer) => {
        writer.string('joined')
        writer.int32(10_000)
        writer.int32(10_000)
        writer.string('')
        writer.nullableString(null)
        writer.string('consumer')
        writer.array(['range'], (protocol) => {
          writer.string(protocol)
          writer.bytes(Buffer.from('metadata'))
          writer.tags()
        })
        writer.nullableString('reason')
        writer.tags()
      },
    },
  ],
  [
    12,
    {
      version: 4,
      flexible: true,
      body: (writer) => {
        writer.string('g')
        writer.int32(1)
        writer.string('member')
        writer.nullableString('instance')
        writer.tags()
      },
    },
  ],
  [
    13,
    {
      version: 5,
      flexible: true,
      body: (writer) => {
        writer.string('g')
        writer.array(['member'], (member) => {
          writer.string(member)
          writer.nullableString('instance')
          writer.nullableString('reason')
          writer.tags()
        })
        writer.tags()
      },
    },
  ],
  [
    14,
    {
      version: 5,
      flexible: true,
      body: (writer) => {
        writer.string('g')
        writer.int32(1)
        writer.string('member')
        for (const text of ['instance', 'consumer', 'range']) writer.nullableString(text)
        writer.array(['member'], (member) => {
          writer.string(member)
          writer.bytes(Buffer.from('work'))
          writer.tags()
        })
        writer.tags()
      },
    },
  ],
  [
    15,
    {
      version: 5,
      flexible: true,
      body: (writer) => {
        writer.array(['g'], (group) => writer.string(group))
        writer.boolean(true)
        writer.tags()
      },
    },
  ],
  [
    16,
    {
      version: 5,
      flexible: true,
      body: (writer) => {
        writer.array(['Stable'], (state) => writer.string(state))
        writer.array(['Classic'], (type) => writer.string(type))
        writer.tags()
      },
    },
  ],
  [
    42,
    {
      version: 2,
      flexible: true,
      changes: true,
      body: (writer) => {
        writer.array(['g'], (group) => writer.string(group))
        writer.tags()
      },
    },
  ],
  [
    47,
    {
      version: 0,
      flexible: false,
      changes: true,
      body: (writer) => {
        writer.string('g')
        indexes(writer)
      },
    },
  ],
])
