/** The document's names, and the one operation. */
import { defineOperation, string } from '@milena/request-reply'

export const requestTopic = 'request-topic'
export const replyTopic = 'reply-topic'
/** The replier's consumer group. The requester needs none. */
export const group = 'reply-group'

export const say = defineOperation({
  name: 'say',
  topic: requestTopic,
  request: string(),
  reply: string(),
  timeout: 5_000,
})
