/** A process with sagas, for `saga.test.ts`: begins those that its parent names, and ends with it. */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  command,
  createReplier,
  createSagas,
  defineOperation,
  defineSaga,
  inTransaction,
  StepError,
  type Operation,
} from '@milena/request-reply'
import { postgresOutbox, postgresSagas } from '@milena/postgres'
import { Pool, type PoolClient } from 'pg'
import { z } from 'zod'

export interface SagaWorkerOptions {
  readonly brokers: string[]
  readonly url: string
  readonly topic: string
  readonly replyTo: string
  readonly groupId: string
  /** Which member of the group it is, also after a restart: nobody waits for the one that was killed. */
  readonly member: string
}

/** What a worker is told to begin. */
export interface SagaWorkerMessage {
  readonly id: string
  /** What becomes of its last step. */
  readonly fails: number
  /** Whether its step takes its time when the work is done. */
  readonly slow: boolean
}

interface Cancel {
  readonly saga: string
}

export function cancelIn(topic: string): Operation<Cancel, Cancel, boolean, boolean> {
  return defineOperation({
    name: 'cancel',
    topic,
    request: z.object({ saga: z.string() }),
    reply: z.boolean(),
  })
}

if (process.argv[2] !== undefined && process.send !== undefined) {
  await work(JSON.parse(process.argv[2]) as SagaWorkerOptions)
}

async function work({ brokers, url, topic, replyTo, groupId, member }: SagaWorkerOptions): Promise<void> {
  const pool = new Pool({ connectionString: url, max: 6 })
  pool.on('error', () => undefined)
  process.on('disconnect', () => process.exit(1))
  const effect = 'INSERT INTO effects VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING'
  const saga = defineSaga({ name: 'killed', input: z.object({ fails: z.number(), slow: z.boolean() }) })
    .step(
      'rows',
      inTransaction(async ({ sagaId }, tx: PoolClient) => {
        await tx.query(effect, [sagaId, 'rows', 1, null])
      }),
      {
        compensate: inTransaction(async ({ sagaId }, tx: PoolClient) => {
          await tx.query(effect, [sagaId, 'rows', -1, null])
        }),
      },
    )
    .step(
      'sent',
      async ({ sagaId, idempotencyKey, input }) => {
        await pool.query(effect, [sagaId, 'sent', 1, idempotencyKey])
        // Done, and not written down yet: here it is killed, too.
        await sleep(input.slow ? 3_000 : 0)
      },
      {
        compensate: command(cancelIn(topic), ({ sagaId }) => ({ saga: sagaId }), { replyTo }),
      },
    )
    .step('last', ({ input }) => {
      if (input.fails === 1) throw new StepError('no')
      if (input.fails === 2) throw new Error('nobody knows')
    })
  const outbox = postgresOutbox({ pool })
  const sagas = createSagas({
    store: postgresSagas({ pool }),
    sagas: [saga],
    outbox,
    lease: 1_000,
    interval: 100,
  })
  const replies = defineOperation({ name: 'cancelled', topic: replyTo, request: z.boolean() })
  const replier = createReplier({ kafka: { brokers }, groupId, groupInstanceId: member })
  replier.handle(replies, () => undefined, { useRecords: [sagas.replies] })
  const relay = outbox.relay({ kafka: { brokers }, pollInterval: 200, claimTimeout: 1_500 })
  await Promise.all([sagas.start(), relay.start(), replier.start()])
  process.on('message', ({ id, ...input }: SagaWorkerMessage) => {
    sagas.run(saga, id, input).catch(() => undefined)
  })
  process.send?.('running')
}
