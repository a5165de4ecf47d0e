/**
 * A requester with a file journal in a process of its own, for `journal.test.ts`: asks without end, and writes each
 * outcome down as it comes. `drain`: asks nothing, and ends when all that was left is finished.
 */
import { appendFileSync } from 'node:fs'
import {
  createRequester,
  defineOperation,
  fileJournal,
  replyPartition,
  sharedReplyTopic,
  string,
} from '@milena/request-reply'

export interface JournalWorkerOptions {
  readonly brokers: readonly string[]
  readonly directory: string
  readonly requests: string
  /** Where every other lane is answered, and the rest. */
  readonly replies: string
  readonly otherReplies: string
  /** Outcomes, one a line. */
  readonly outcomes: string
  /** Distinguishes the requests of one process from another's. */
  readonly run: number
  readonly mode: 'ask' | 'drain' | 'idle'
  readonly takeOver: 'refuse' | 'fence'
}

/** What a worker tells its parent. */
export interface JournalWorkerMessage {
  readonly ready?: true
  readonly code?: string
  readonly taken?: string
  readonly drained?: true
}

const inFlight = 40
const options = JSON.parse(process.argv[2]!) as JournalWorkerOptions
const tell = (message: JournalWorkerMessage): void => void process.send?.(message)
const work = defineOperation({
  name: 'work',
  topic: options.requests,
  request: string(),
  reply: string(),
  key: (value) => value,
})
const write = (how: string, request: unknown, outcome: string): void =>
  appendFileSync(options.outcomes, `${how} ${String(request)} ${outcome}\n`)

process.on('disconnect', () => process.exit(1))
try {
  const requester = await createRequester({
    kafka: { brokers: [...options.brokers] },
    instanceId: 'gateway-1',
    replyRouting: [
      replyPartition({ topic: options.replies }),
      sharedReplyTopic({ topic: options.otherReplies }),
    ],
    timeout: 5_000,
    journal: {
      store: fileJournal({ directory: options.directory, segmentBytes: 16_384 }),
      operations: [work],
      takeOver: options.takeOver,
      onRecovered(recovered) {
        if (recovered.of(work))
          write('recovered', recovered.request, recovered.reply?.value ?? recovered.error!.code)
      },
    },
  })
  tell({ ready: true })
  const ask = async (lane: number): Promise<void> => {
    for (let n = 0; ; n++) {
      const value = `${options.run}-${lane}-${n}`
      const replyTopic = lane % 2 === 0 ? options.replies : options.otherReplies
      await requester.request(work, value, { replyTopic }).then(
        (reply) => write('asked', value, reply.value),
        (error: { readonly code: string }) => {
          write('asked', value, error.code)
          if (error.code === 'MILENA_JOURNAL_TAKEN') throw error
        },
      )
    }
  }
  if (options.mode === 'ask') {
    for (let lane = 0; lane < inFlight; lane++)
      ask(lane).catch((error: { readonly code: string }) => tell({ taken: error.code }))
  }
  if (options.mode === 'drain') {
    while (requester.health().journal!.recovering > 0) await new Promise((resolve) => setTimeout(resolve, 20))
    await requester.close()
    tell({ drained: true })
    process.removeAllListeners('disconnect')
    process.disconnect?.()
  }
} catch (error) {
  tell({ code: (error as { readonly code: string }).code })
}
