/** The replying side: the document's `@KafkaListener` with `@SendTo("reply-topic")`. */
import { createReplier, type Replier } from '@milena/request-reply'
import { namesOf } from './say.ts'

export async function openReplier(brokers: string[], prefix: string): Promise<Replier> {
  const { say, replyTopic, group } = namesOf(prefix)
  const replier = createReplier({ kafka: { brokers }, groupId: group, createTopics: true })
  replier.handle(
    say,
    (message) => {
      console.log('in progress')
      return `say : ${message}`
    },
    { replyTo: { topic: replyTopic } },
  )
  await replier.start()
  return replier
}
