/** The names of S3's document (docs/systems.md), and the one operation. */
import { defineOperation, string, type Operation } from '@milena/request-reply'

export interface Names {
  readonly say: Operation<string, string, string, string>
  readonly replyTopic: string
  /** The replier's consumer group. The requester needs none. */
  readonly group: string
}

/** `prefix` keeps several runs on one cluster apart; the document's names have none. */
export function namesOf(prefix: string): Names {
  return {
    say: defineOperation({
      name: 'say',
      topic: `${prefix}request-topic`,
      request: string(),
      reply: string(),
      timeout: 5_000,
    }),
    replyTopic: `${prefix}reply-topic`,
    group: `${prefix}reply-group`,
  }
}
