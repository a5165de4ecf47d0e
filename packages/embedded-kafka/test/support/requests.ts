import { makeBatch } from './batches.ts'
import { groupRequests } from './group-requests.ts'
import { topics } from './sample-request.ts'
import type { SampleRequest } from './sample-request.ts'

/** By API key, with a value in every field that can have one. */
export const sampleRequests: ReadonlyMap<number, SampleRequest> = new Map<number, SampleRequest>([
  ...groupRequests,
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
