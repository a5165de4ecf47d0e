import type { Writer } from '../../src/wire/writer.ts'
import { makeBatch } from './batches.ts'

/** A request of one API at its highest version, on the topic `t` and the group `g`. */
export interface SampleRequest {
  readonly version: number
  readonly flexible: boolean
  readonly body: (writer: Writer) => void
  /** Whether it changes what `t`, `g` or the list of topics is. */
  readonly changes?: true
}

function topics(writer: Writer, partition: () => void): void {
  writer.array(['t'], (topic) => {
    writer.string(topic)
    writer.array([0], () => {
      partition()
      writer.tags()
    })
    writer.tags()
  })
}

function indexes(writer: Writer): void {
  writer.array(['t'], (topic) => {
    writer.string(topic)
    writer.array([0], (index) => writer.int32(index))
    writer.tags()
  })
}

/** By API key, with a value in every field that can have one. */
export const sampleRequests: ReadonlyMap<number, SampleRequest> = new Map<number, SampleRequest>([
  [
    0,
    {
      version: 9,
      flexible: true,
      changes: true,
      body: (writer) => {
        writer.nullableString(null)
        writer.int16(-1)
        writer.int32(1000)
        topics(writer, () => {
          writer.int32(0)
          writer.nullableBytes(makeBatch())
        })
        writer.tags()
      },
    },
  ],
  [
    1,
    {
      version: 18,
      flexible: true,
      body: (writer) => {
        for (const value of [0, 1, 1_000_000]) writer.int32(value)
        writer.int8(0)
        writer.int32(0)
        writer.int32(-1)
        for (const forgotten of [false, true]) {
          writer.array(['01234567-89ab-cdef-0123-456789abcdef'], (id) => {
            writer.uuid(id)
            writer.array([0], () => {
              writer.int32(0)
              if (forgotten) return
              writer.int32(-1)
              writer.int64(0)
              writer.int32(-1)
              writer.int64(-1)
              writer.int32(1_000_000)
              writer.tags()
            })
            writer.tags()
          })
        }
        writer.string('rack')
        writer.tags()
      },
    },
  ],
  [
    2,
    {
      version: 6,
      flexible: true,
      body: (writer) => {
        writer.int32(-1)
        writer.int8(0)
        topics(writer, () => {
          writer.int32(0)
          writer.int32(-1)
          writer.int64(-1)
        })
        writer.tags()
      },
    },
  ],
  [
    3,
    {
      version: 10,
      flexible: true,
      changes: true,
      body: (writer) => {
        writer.array(['made-by-asking'], (name) => {
          writer.uuid('00000000-0000-0000-0000-000000000000')
          writer.nullableString(name)
          writer.tags()
        })
        for (const asked of [true, false, false]) writer.boolean(asked)
        writer.tags()
      },
    },
  ],
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
    18,
    {
      version: 4,
      flexible: true,
      body: (writer) => {
        writer.string('software')
        writer.string('1.0')
        writer.tags()
      },
    },
  ],
  [
    19,
    {
      version: 5,
      flexible: true,
      changes: true,
      body: (writer) => {
        writer.array(['created'], (name) => {
          writer.string(name)
          writer.int32(-1)
          writer.int16(-1)
          writer.array([0], (index) => {
            writer.int32(index)
            writer.array([1], (node) => writer.int32(node))
            writer.tags()
          })
          writer.array(['retention.ms'], (config) => {
            writer.string(config)
            writer.nullableString('5')
            writer.tags()
          })
          writer.tags()
        })
        writer.int32(1000)
        writer.boolean(false)
        writer.tags()
      },
    },
  ],
  [
    20,
    {
      version: 5,
      flexible: true,
      changes: true,
      body: (writer) => {
        writer.array(['t'], (name) => writer.string(name))
        writer.int32(1000)
        writer.tags()
      },
    },
  ],
  [
    21,
    {
      version: 2,
      flexible: true,
      changes: true,
      body: (writer) => {
        topics(writer, () => {
          writer.int32(0)
          writer.int64(-1)
        })
        writer.int32(1000)
        writer.tags()
      },
    },
  ],
  [
    22,
    {
      version: 4,
      flexible: true,
      body: (writer) => {
        writer.nullableString(null)
        writer.int32(1000)
        writer.int64(-1)
        writer.int16(-1)
        writer.tags()
      },
    },
  ],
  [
    23,
    {
      version: 4,
      flexible: true,
      body: (writer) => {
        writer.int32(-1)
        topics(writer, () => {
          for (const value of [0, -1, 0]) writer.int32(value)
        })
        writer.tags()
      },
    },
  ],
  [
    32,
    {
      version: 4,
      flexible: true,
      body: (writer) => {
        writer.array(['t'], (name) => {
          writer.int8(2)
          writer.string(name)
          writer.nullableArray(['retention.ms'], (key) => writer.string(key))
          writer.tags()
        })
        writer.boolean(true)
        writer.boolean(false)
        writer.tags()
      },
    },
  ],
  [
    37,
    {
      version: 3,
      flexible: true,
      changes: true,
      body: (writer) => {
        writer.array(['t'], (name) => {
          writer.string(name)
          writer.int32(2)
          writer.nullableArray([1], (node) => {
            writer.array([node], (id) => writer.int32(id))
            writer.tags()
          })
          writer.tags()
        })
        writer.int32(1000)
        writer.boolean(false)
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
    44,
    {
      version: 1,
      flexible: true,
      changes: true,
      body: (writer) => {
        writer.array(['t'], (name) => {
          writer.int8(2)
          writer.string(name)
          writer.array(['retention.ms'], (config) => {
            writer.string(config)
            writer.int8(0)
            writer.nullableString('5')
            writer.tags()
          })
          writer.tags()
        })
        writer.boolean(false)
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
  [
    60,
    {
      version: 1,
      flexible: true,
      body: (writer) => {
        writer.boolean(false)
        writer.int8(1)
        writer.tags()
      },
    },
  ],
])
