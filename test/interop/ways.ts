/** The two ways in which the instances of a Spring application share a reply topic, and ours for each. */
import { replyPartition, sharedReplyTopic, type ReplyRouting } from '@milena/request-reply'

/** More than one digit's worth of difference between text and bytes, in either byte order. */
const fixedPartition = 5
/** Of a reply topic. */
export const replyPartitions = 6

export interface Way {
  readonly name: string
  /** Spring's own; of ours, `routing` has it. */
  readonly partition: number | undefined
  readonly routing: (topic: string) => ReplyRouting
}

export const ways: readonly Way[] = [
  {
    name: 'a reply topic with a group of its own',
    partition: undefined,
    routing: (topic) => sharedReplyTopic({ topic }),
  },
  {
    name: 'a fixed reply partition',
    partition: fixedPartition,
    routing: (topic) => replyPartition({ topic, partition: fixedPartition }),
  },
]
