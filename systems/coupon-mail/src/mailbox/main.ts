/** Entry: the SMTP server, and its mailbox over HTTP. */
import { createApp, listen, runChild, type ServiceFacts } from '@milena/hosting'
import { z } from 'zod'
import { Mailbox } from './mailbox.ts'
import { createSmtpServer, type SmtpCounts } from './smtp.ts'

const behaviourSchema = z.strictObject({
  duplicateWindow: z
    .number()
    .int()
    .min(0)
    .describe('milliseconds within which a mail whose Message-ID was accepted before is dropped; 0: never'),
  answerDelay: z
    .number()
    .int()
    .min(0)
    .max(60_000)
    .describe('milliseconds from when a mail is in the mailbox until its sender is told'),
})
export type MailboxConfig = z.infer<typeof behaviourSchema>

export interface MailboxFacts extends ServiceFacts {
  readonly smtpUrl: string
}

const mostMails = 200_000

const mailSchema = z.object({
  number: z.number(),
  messageId: z.string().optional(),
  recipients: z.array(z.string()).readonly(),
  subject: z.string(),
  receivedAt: z.string(),
})
const statsSchema = z.object({
  mails: z.number(),
  duplicates: z.number().describe('accepted again within the window, and dropped'),
  refused: z.number().describe('recipients that were refused'),
  untold: z.number().describe('mails that are in the mailbox, and whose sender is not told yet'),
})

runChild(async (behaviour: MailboxConfig) => {
  const mailbox = new Mailbox({ duplicateWindow: () => behaviour.duplicateWindow, most: mostMails })
  const counts: SmtpCounts = { refused: 0, untold: 0 }
  const smtp = createSmtpServer({ mailbox, answerDelay: () => behaviour.answerDelay, counts })
  const smtpPort = await new Promise<number>((resolve, reject) => {
    const server = smtp.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
    server.once('error', reject)
  })

  const app = await createApp('Mailbox', 'cut')
  app.get(
    '/mails',
    {
      schema: {
        summary: 'What was accepted, oldest first; `after` is the number of the last one of the page before',
        querystring: z.object({
          recipient: z.string().optional(),
          after: z.coerce.number().int().min(0).default(0),
          limit: z.coerce.number().int().min(1).max(1_000).default(100),
        }),
        response: { 200: z.array(mailSchema).readonly() },
      },
    },
    ({ query: { recipient, after, limit } }) => mailbox.list(after, limit, recipient),
  )
  app.get('/stats', { schema: { summary: 'In figures', response: { 200: statsSchema } } }, () => ({
    mails: mailbox.count,
    duplicates: mailbox.duplicates,
    ...counts,
  }))
  app.put(
    '/behaviour',
    {
      schema: {
        summary: 'How it behaves from now on; what is not named stays as it is',
        body: behaviourSchema.partial(),
        response: { 200: behaviourSchema },
      },
    },
    ({ body }) => Object.assign(behaviour, body),
  )
  const port = await listen(app, 0)
  const facts: MailboxFacts = {
    port,
    url: `http://127.0.0.1:${port}`,
    smtpUrl: `smtp://127.0.0.1:${smtpPort}`,
  }
  return {
    facts,
    async close() {
      await app.close()
      await new Promise<void>((resolve) => smtp.close(resolve))
    },
  }
})
