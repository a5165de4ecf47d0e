/**
 * A replier in a process of its own, for `replier.test.ts`: tells its parent when it is ready and what it handles,
 * closes on SIGTERM, and ends with its parent.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createReplier, defineOperation, string } from '@milena/request-reply'

interface WorkerOptions {
  readonly brokers: string[]
  readonly groupId: string
  readonly topic: string
  /** Milliseconds that each request takes. */
  readonly delay: number
  readonly sessionTimeout: number
  /** The request that is never done; the worker tells how many others are committed. */
  readonly stuck?: string
}

/** What a worker tells its parent. */
export type WorkerMessage =
  | { readonly ready: true }
  | { readonly began: string }
  | { readonly ended: string }
  | { readonly committed: number }

const options = JSON.parse(process.argv[2]!) as WorkerOptions
const tell = (message: WorkerMessage): void => void process.send?.(message)

const replier = createReplier({
  kafka: { brokers: options.brokers },
  groupId: options.groupId,
  replyTopics: ['worker_reply-*'],
  sessionTimeout: options.sessionTimeout,
  heartbeatInterval: 500,
})
const operation = defineOperation({
  name: 'work',
  topic: options.topic,
  request: string(),
  reply: string(),
})
replier.handle(operation, async (request) => {
  tell({ began: request })
  if (request === options.stuck) await new Promise(() => undefined)
  await sleep(options.delay)
  tell({ ended: request })
  return request
})

process.on('disconnect', () => process.exit(1))
process.once('SIGTERM', () => {
  void replier.close().then(() => process.disconnect?.())
  process.removeAllListeners('disconnect')
})
await replier.start()
tell({ ready: true })
if (options.stuck !== undefined) setInterval(() => tell({ committed: replier.stats().committed }), 50)
