/** Entry: the mail worker. It takes `SEND_MAIL`, has the Mail API send, and replies what came of it. */
import { connectDatabase, explainBrokers, runChild } from '@milena/hosting'
import { postgresIdempotency } from '@milena/postgres'
import { createReplier, deadLetter, exponential, idempotency, retry } from '@milena/request-reply'
import { campaignHeader, defineMessages, kafkaOf, workerHeader } from '../messages.ts'
import { MailApi, MailApiAway } from './mail-api.ts'

export interface WorkerConfig {
  readonly name: string
  readonly brokers: string
  readonly databaseUrl: string
  readonly prefix: string
  readonly mailApiUrl: string
}

/** Mails at once. */
const concurrency = 16
/** Of so many tries of a mail one is told, when the Mail API is away. */
const toldEvery = 10

runChild(async ({ name, brokers, databaseUrl, prefix, mailApiUrl }: WorkerConfig) => {
  const { sendMail, workerGroup, replyTopics } = defineMessages(prefix)
  const pool = await connectDatabase(databaseUrl, { max: 8 })
  const mailApi = new MailApi(mailApiUrl, concurrency)
  const replier = createReplier({
    kafka: kafkaOf(brokers, `${prefix}${name}`),
    groupId: workerGroup,
    // A static member: one that was killed takes its partitions up again at once.
    groupInstanceId: `${prefix}${name}`,
    sessionTimeout: 6_000,
    heartbeatInterval: 500,
    concurrency,
    replyTopics: Object.values(replyTopics),
    createTopics: true,
    logger: { warn },
  })
  replier.handle(sendMail, (mail) => mailApi.send(mail), {
    // Of the request's headers its reply has this one, and it has one more.
    copyHeaders: [campaignHeader],
    replyHeaders: { [workerHeader]: name },
    useRecords: [
      // The mail is not in this database: its result is stored when it is sent, and not with it.
      idempotency({ store: postgresIdempotency({ pool, transactions: false }), lease: 3_000 }),
      deadLetter(),
      // The Mail API may be away for a minute.
      retry({ attempts: 40, backoff: exponential({ first: 100, most: 3_000 }) }),
    ],
  })
  await explainBrokers(brokers, replier.start())
  return {
    facts: {},
    async close({ orphaned }) {
      if (orphaned) return
      await replier.close()
      mailApi.close()
      await pool.end()
    },
  }
})

/** One line on standard error each; that the Mail API is away for a moment is no news. */
function warn(message: string, details: Readonly<Record<string, unknown>>, error?: unknown): void {
  if (!(error instanceof MailApiAway)) return console.error(`${message} ${JSON.stringify(details)}`)
  const { attempt } = details
  if (Number(attempt) % toldEvery === 0)
    console.error(`no mail sent at try ${Number(attempt)}: ${error.message}`)
}
