import type { TopicSpec } from '@milena/request-reply'
import { defineMessages } from './messages.ts'

const partitions = 6

export function topicsOf(prefix: string): readonly TopicSpec[] {
  const { sendMail, replyTopics } = defineMessages(prefix)
  return [sendMail.topic, ...Object.values(replyTopics)].map((name) => ({ name, partitions }))
}
