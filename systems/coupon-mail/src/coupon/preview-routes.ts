/** A preview of a coupon's mail, which the caller waits for: the document's own request and reply. */
import { outcomeProblem, problem, type App } from '@milena/hosting'
import { isMilenaError, type Requester } from '@milena/request-reply'
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { couponHeader, type Messages } from '../messages.ts'
import type { Gifts } from './gifts.ts'
import { existing } from './gift-routes.ts'
import { readable } from './mail-replies.ts'
import { previewMail } from './mail-text.ts'
import { idSchema, previewRequestSchema, previewSchema } from './schemas.ts'

/** Milliseconds, as the document has it. */
const timeout = 10_000

export function addPreviewRoutes(app: App, requester: Requester, messages: Messages, gifts: Gifts): void {
  app.post(
    '/coupons/:id/preview',
    {
      schema: {
        summary: "Sends a preview of a coupon's mail, and waits for what came of it",
        params: z.object({ id: idSchema }),
        body: previewRequestSchema,
        response: {
          200: previewSchema,
          400: problem('an invalid request; every problem is listed'),
          404: problem('there is no such coupon'),
          502: problem("the worker's error, or a reply that cannot be read: the mail may be sent or not"),
          503: problem('not now: nothing was sent'),
          504: problem('no reply: the mail may be sent or not'),
        },
      },
    },
    async ({ params: { id }, body: { recipient, partner } }) => {
      const mail = previewMail(`preview-${randomUUID()}`, await existing(gifts, id), recipient)
      const replyTopic = partner ? messages.replyTopics.partner : messages.replyTopics.own
      const options = { timeout, replyTopic, headers: { [couponHeader]: id } }
      const { value, position, headers } = await requester
        .request(messages.sendMail, mail, options)
        .catch((error: unknown) => {
          throw isMilenaError(error) ? outcomeProblem(error) : error
        })
      return { result: value, reply: { topic: position.topic, headers: readable(headers) } }
    },
  )
}
