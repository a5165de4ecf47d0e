/**
 * What the profiles here have in common: three headers, for the correlation id, the reply's topic and its partition.
 * They differ in the names of these, and in how the values are written.
 */
import { rawCorrelation, type CorrelationForm } from './correlation-form.ts'
import { isSame, lastHeader, type RawHeader } from './headers.ts'
import type { PartitionForm } from './partition-form.ts'
import type { ReplyAddress, ReplyRequest, WireProfile } from './profile.ts'

/** Kafka's longest topic name, in bytes. */
const longestTopic = 249
/** The longest foreign correlation id that is echoed, in bytes. */
const longestCorrelation = 255

export interface ThreeHeaders {
  readonly correlation: string
  readonly correlationForm: CorrelationForm
  readonly topic: string
  readonly partition: string
  readonly partitionForm: PartitionForm
}

export type ThreeHeaderFunctions = Pick<
  WireProfile,
  'addressHeaders' | 'correlationHeader' | 'echoHeader' | 'readCorrelation' | 'readReplyRequest'
>

export function threeHeaders(form: ThreeHeaders): ThreeHeaderFunctions {
  const { correlationForm, partitionForm } = form
  const correlationName = Buffer.from(form.correlation)
  const topicName = Buffer.from(form.topic)
  const partitionName = Buffer.from(form.partition)
  const textOf = topicNames()

  return {
    addressHeaders({ topic, partition }: ReplyAddress): readonly RawHeader[] {
      const headers: RawHeader[] = [[topicName, Buffer.from(topic)]]
      if (partition !== undefined) headers.push([partitionName, partitionForm.write(partition)])
      return headers
    },

    correlationHeader: (correlationId) => [correlationName, correlationForm.write(correlationId)],

    echoHeader:
      correlationForm === rawCorrelation
        ? undefined
        : (request) => [correlationName, lastHeader(request, correlationName) ?? null],

    readCorrelation(headers) {
      const id = lastHeader(headers, correlationName)
      return id ? correlationForm.read(id) : undefined
    },

    readReplyRequest(headers): ReplyRequest | undefined | string {
      const correlation = lastHeader(headers, correlationName)
      const topic = lastHeader(headers, topicName)
      if (!correlation || correlation.length === 0)
        return topic ? `it has a ${form.topic} and no ${form.correlation}` : undefined
      if (correlation.length > longestCorrelation)
        return `its ${form.correlation} has ${correlation.length} bytes, at most ${longestCorrelation} are echoed`
      const correlationId = correlationForm.read(correlation) ?? correlation
      if (!topic || topic.length === 0) return { correlationId, address: undefined }
      if (topic.length > longestTopic)
        return `its ${form.topic} has ${topic.length} bytes, a topic name has at most ${longestTopic}`
      const partition = lastHeader(headers, partitionName)
      const name = textOf(topic)
      if (!partition) return { correlationId, address: { topic: name } }
      const number = partitionForm.read(partition)
      if (typeof number === 'string') return `its ${form.partition} ${number}`
      return { correlationId, address: { topic: name, partition: number } }
    },
  }
}

/** Remembers the topic name that was read last: there are few, and they come in a row. */
function topicNames(): (topic: Buffer) => string {
  let lastBytes = Buffer.alloc(0)
  let lastText = ''
  return (topic) => {
    if (isSame(topic, lastBytes)) return lastText
    lastBytes = Buffer.from(topic)
    return (lastText = topic.toString())
  }
}
