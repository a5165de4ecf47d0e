/** Development: the broker is started anew, without its topics, under services that keep running with `createTopics`. */
import { test } from 'node:test'
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import {
  createReplier,
  createRequester,
  defineOperation,
  instanceReplyTopic,
  replyPartition,
  sharedReplyTopic,
  string,
} from '@milena/request-reply'
import { waitFor } from '../support/wait-for.ts'

const say = defineOperation({ name: 'say', topic: 'say_request', request: string(), reply: string() })

for (const replyRouting of [
  replyPartition({ topic: 'say_reply' }),
  instanceReplyTopic({ prefix: 'say_reply_' }),
  sharedReplyTopic({ topic: 'say_reply' }),
]) {
  test(`${replyRouting.name}: requests are answered again when the broker has come back without its topics`, async (t) => {
    const first = await startEmbeddedKafka()
    const brokers = [...first.brokers]
    const port = Number(brokers[0]!.split(':').at(-1))
    const closing: (() => Promise<void>)[] = [() => first.close()]
    t.after(async () => {
      for (const close of closing.toReversed()) await close()
    })
    const kafka = { brokers }
    const replier = createReplier({
      kafka,
      groupId: 'say',
      replyTopics: ['say_reply', 'say_reply_*'],
      createTopics: true,
      logger: { warn() {} },
    })
    replier.handle(say, (message) => `say : ${message}`)
    await replier.start()
    closing.push(() => replier.close())
    const requester = await createRequester({ kafka, replyRouting, createTopics: true })
    closing.push(() => requester.close())
    await requester.request(say, 'before')

    await first.close()
    const second = await waitFor(() => startEmbeddedKafka({ port }), { what: `port ${port}` })
    closing.unshift(() => second.close())
    // Each answer after the first one, too: replies can be received again for good.
    let answered = 0
    await waitFor(
      async () => {
        const reply = await requester.request(say, 'after', { timeout: 2_000 }).catch(() => undefined)
        answered = reply?.value === 'say : after' ? answered + 1 : 0
        return answered === 5
      },
      { what: 'five answers in a row' },
    )
  })
}
