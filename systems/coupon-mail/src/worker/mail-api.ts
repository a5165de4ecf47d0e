/** Asks the Mail API. */
import { JsonClient, messageOf } from '@milena/hosting'
import { ReplyError } from '@milena/request-reply'
import { resultSchema, type Mail, type Result } from '../messages.ts'

/** Milliseconds that an answer is waited for: longer than the API waits for its SMTP server. */
const answerTimeout = 75_000

/** There is no answer, or none that says what came of it. */
export class MailApiAway extends Error {}

export class MailApi {
  readonly #http: JsonClient

  constructor(url: string, connections: number) {
    this.#http = new JsonClient(url, connections)
  }

  /** @throws MailApiAway, then it is asked again; ReplyError when it will not have this mail another time either */
  async send(mail: Mail): Promise<Result> {
    const call = { method: 'POST', path: '/mail/send', timeout: answerTimeout } as const
    const { status, body } = await this.#http
      .call({ ...call, body: { params: mail } })
      .catch((error: unknown) => {
        throw new MailApiAway(messageOf(error), { cause: error })
      })
    if (status === 200) return resultSchema.parse(body)
    const { title, detail = title } = (body ?? {}) as { title?: string; detail?: string }
    const said = `the Mail API answers ${status}: ${detail}`
    if (status >= 500) throw new MailApiAway(said)
    throw new ReplyError('MAIL_INVALID', said, { effect: 'none' })
  }

  close(): void {
    this.#http.close()
  }
}
