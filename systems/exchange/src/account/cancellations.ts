/** Takes the commands that cancel movements: each once, in the transaction that stores its reply. */
import { createReplier, deadLetter, fixed, idempotency, retry, type Replier } from '@milena/request-reply'
import { postgresIdempotency } from '@milena/postgres'
import type { Pool } from 'pg'
import { groupOf, movementKinds, type AccountCommands, type AccountService } from '../operations.ts'
import { isOf, PlantedFailure, type Behaviour } from './behaviour.ts'
import type { Ledger } from './ledger.ts'

export interface CancellationsOptions {
  readonly service: AccountService
  readonly commands: AccountCommands
  readonly brokers: readonly string[]
  readonly prefix: string
  readonly pool: Pool
  readonly ledger: Ledger
  readonly behaviour: () => Behaviour
}

/** At once in hand; each takes a connection of the database. */
export const cancelConcurrency = 16

export function createCancellations(options: CancellationsOptions): Replier {
  const { service, commands, brokers, prefix, pool, ledger, behaviour } = options
  const replier = createReplier({
    kafka: { brokers: [...brokers], clientId: `${prefix}${service}` },
    groupId: groupOf(prefix, service),
    // A static member: one that was killed takes its partitions up again at once.
    groupInstanceId: `${prefix}${service}`,
    sessionTimeout: 6_000,
    heartbeatInterval: 500,
    concurrency: cancelConcurrency,
    createTopics: true,
    logger: { warn },
  })
  const useRecords = [
    idempotency({ store: postgresIdempotency({ pool }), lease: 3_000 }),
    deadLetter(),
    // As S5's document has it: three more tries, a second apart.
    retry({ attempts: 4, backoff: fixed(1_000) }),
  ] as const
  for (const kind of movementKinds)
    replier.handle(
      commands.cancel[kind],
      async ({ exchangeId }, { transaction, attempt }) => {
        fail(behaviour(), exchangeId, attempt)
        if (isOf(behaviour().cancelSkipped, 'cancelSkipped', exchangeId))
          return { exchangeId, outcome: 'undone' }
        return ledger.cancel(transaction, exchangeId, kind, attempt)
      },
      { useRecords, replyTo: { topic: commands.responseTopic } },
    )
  return replier
}

/** One line on standard error each; what fails on purpose is no news. */
function warn(message: string, details: Readonly<Record<string, unknown>>, error?: unknown): void {
  if (!(error instanceof PlantedFailure)) console.error(`${message} ${JSON.stringify(details)}`)
}

function fail({ cancelBroken, cancelFlaky }: Behaviour, exchangeId: string, attempt: number): void {
  if (isOf(cancelBroken, 'cancelBroken', exchangeId)) throw new PlantedFailure('broken on purpose')
  if (attempt === 1 && isOf(cancelFlaky, 'cancelFlaky', exchangeId))
    throw new PlantedFailure('fails once, on purpose')
}
