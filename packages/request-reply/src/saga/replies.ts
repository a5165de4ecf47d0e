/** What comes back for a command: found by its correlation id, read with the command's own operation. */
import { decodePayload, validatePayload } from '../contract/coding.ts'
import type { AnyOperation } from '../contract/operation.ts'
import { listIssues, RemoteError, remoteFacts } from '../errors.ts'
import type { RawRequest } from '../replier/raw-request.ts'
import type { AnySaga } from './definition.ts'
import type { StepOutcome } from './sagas.ts'
import { readReplyError } from '../wire/profile.ts'
import { wordsOf } from '../words.ts'
import { StepError } from './step-error.ts'
import { waitingStep, type SagaStatus } from './status.ts'
import type { AnyContext } from './trying.ts'
import type { CommandWork } from './work.ts'

/** The work that the saga's waiting step has sent; `undefined` when the definition here has none. */
export function sentWork(saga: AnySaga, status: SagaStatus): CommandWork<never, unknown> | undefined {
  const waiting = waitingStep(status.steps)
  const step = saga.steps.find(({ name }) => name === waiting?.name)
  const work = waiting?.state === 'sent' ? step?.action : step?.options.compensate
  return typeof work === 'object' && work.kind === 'command' ? work : undefined
}

/** Reads a reply's record. An error reply, and one that cannot be read, are outcomes too. */
export async function readOutcome(
  work: CommandWork<never, unknown>,
  context: AnyContext,
  { record, replier }: RawRequest,
): Promise<StepOutcome> {
  try {
    const operation: AnyOperation =
      typeof work.operation === 'function' ? work.operation(context as never) : work.operation
    const remote = readReplyError(replier.profile, record.headers)
    if (remote !== undefined) {
      const facts = { ...remoteFacts(remote.code, remote), sent: 'yes' } as const
      return { error: new RemoteError(operation.name, remote.code, remote.message, facts) }
    }
    const checked = await validatePayload(operation, 'reply', await decodePayload(operation, 'reply', record))
    if ('issues' in checked)
      throw new TypeError(`the reply does not match the schema: ${listIssues(checked.issues)}`)
    return { result: checked.value }
  } catch (cause) {
    // A reply came, so the work was done; what it gave is not known.
    return { error: new StepError(wordsOf(cause), { effect: 'done', cause }) }
  }
}
