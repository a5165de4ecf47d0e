/** Entry: the Mail API. */
import {
  connectDatabase,
  createApp,
  listen,
  messageOf,
  problem,
  runChild,
  unavailable,
  type ServiceFacts,
} from '@milena/hosting'
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { mailSchema, resultSchema } from '../messages.ts'
import { Mails, messageIdOf } from './mails.ts'
import { SmtpSender } from './smtp-sender.ts'

export interface MailApiConfig {
  readonly port: number
  readonly databaseUrl: string
  readonly smtpUrl: string
  /** A defect, on purpose: it remembers nothing, and gives each mail a Message-ID of its own at each call. */
  readonly forgets: boolean
}

/** Each call holds one while it sends. */
const databaseConnections = 48

const statsSchema = z.object({
  sent: z.number(),
  failed: z.number(),
  askedAgain: z.number().describe('calls for a mail that had been asked for before'),
  sentAgain: z.number().describe('mails that were begun again, since nobody knew what had come of it'),
})

runChild(async ({ port, databaseUrl, smtpUrl, forgets }: MailApiConfig) => {
  const pool = await connectDatabase(databaseUrl, { max: databaseConnections })
  const smtp = new SmtpSender(smtpUrl)
  const mails = new Mails(pool, (mail, messageId) => smtp.send(mail, messageId))
  const app = await createApp('Mail API', 'finish')
  app.post(
    '/mail/send',
    {
      schema: {
        summary: 'Sends a mail, once for each mailId: 0 it is sent, 1 it has failed',
        body: z.object({ params: mailSchema }),
        response: {
          200: resultSchema,
          400: problem('an invalid request; every problem is listed'),
          503: problem('not now, or not known; ask again with the same mailId'),
        },
      },
    },
    async ({ body: { params } }) => {
      try {
        const sending = forgets
          ? await smtp.send(params, messageIdOf(randomUUID()))
          : await mails.sendOnce(params)
        return sending.result
      } catch (error) {
        throw unavailable(messageOf(error))
      }
    },
  )
  app.get('/stats', { schema: { summary: 'In figures', response: { 200: statsSchema } } }, () =>
    mails.stats(),
  )
  const bound = await listen(app, port)
  const facts: ServiceFacts = { port: bound, url: `http://127.0.0.1:${bound}` }
  return {
    facts,
    async close({ orphaned }) {
      if (orphaned) return
      await app.close()
      smtp.close()
      await pool.end()
    },
  }
})
