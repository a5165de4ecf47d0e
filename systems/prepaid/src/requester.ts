/** The requesting side: the document's `GET /test/sendEvent?str=…`, over HTTP on 127.0.0.1. */
import { randomUUID } from 'node:crypto'
import { createApp, listen, outcomeProblem, problem, type App } from '@milena/hosting'
import { createRequester, isMilenaError, sharedReplyTopic, type Requester } from '@milena/request-reply'
import { z } from 'zod'
import { printReply } from './print.ts'
import { namesOf, type Names } from './say.ts'

export interface OpenRequester {
  readonly url: string
  close(): Promise<void>
}

/** @throws StartError when the port is taken; MilenaError when the brokers cannot be used. */
export async function openRequester(brokers: string[], port: number, prefix: string): Promise<OpenRequester> {
  const { say, replyTopic } = namesOf(prefix)
  // Any replier can answer to a shared reply topic, also one that cannot set a partition.
  const requester = await createRequester({
    kafka: { brokers },
    replyRouting: sharedReplyTopic({ topic: replyTopic }),
    createTopics: true,
  })
  const app = await createApp('Prepaid service', 'finish')
  addRoute(app, requester, say)
  try {
    const url = `http://127.0.0.1:${await listen(app, port)}`
    return {
      url,
      async close() {
        await app.close()
        await requester.close()
      },
    }
  } catch (error) {
    await requester.close()
    throw error
  }
}

function addRoute(app: App, requester: Requester, say: Names['say']): void {
  const responses = {
    200: z.string(),
    400: problem('Without str'),
    502: problem('The replier answered with an error, or with what cannot be read'),
    503: problem('Not now: nothing was sent'),
    504: problem('No reply within 5 s'),
  }
  app.get(
    '/test/sendEvent',
    { schema: { querystring: z.object({ str: z.string() }), response: responses } },
    async ({ query: { str } }, reply) => {
      console.log(`in request value : ${str}`)
      const answer = await requester.request(say, str, { key: randomUUID() }).catch((error: unknown) => {
        throw isMilenaError(error) ? outcomeProblem(error) : error
      })
      printReply(say.topic, answer)
      return reply.type('text/plain; charset=utf-8').send(answer.value)
    },
  )
}
