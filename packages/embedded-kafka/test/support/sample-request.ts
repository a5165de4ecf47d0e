import type { Writer } from '../../src/wire/writer.ts'

/** A request of one API at its highest version, on the topic `t` and the group `g`. */
export interface SampleRequest {
  readonly version: number
  readonly flexible: boolean
  readonly body: (writer: Writer) => void
  /** Whether it changes what `t`, `g` or the list of topics is. */
  readonly changes?: true
}

export function topics(writer: Writer, partition: () => void): void {
  writer.array(['t'], (topic) => {
    writer.string(topic)
    writer.array([0], () => {
      partition()
      writer.tags()
    })
    writer.tags()
  })
}

export function indexes(writer: Writer): void {
  writer.array(['t'], (topic) => {
    writer.string(topic)
    writer.array([0], (index) => writer.int32(index))
    writer.tags()
  })
}
