/** The replying side: the document's `@KafkaListener` with `@SendTo("reply-topic")`. */
import { createReplier, type Replier } from '@milena/request-reply'
import { group, replyTopic, say } from './say.ts'

export async function openReplier(brokers: string[]): Promise<Replier> {
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
