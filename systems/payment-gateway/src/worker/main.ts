/** Entry: a worker takes payment requests, has them carried out by the provider, and replies. */
import { createReplier } from '@milena/request-reply'
import { relayReplies } from '@milena/redis'
import { explainBrokers, JsonClient, runChild } from '@milena/hosting'
import { defineOperations, workerGroup } from '../operations.ts'
import { relayedTopic } from '../routing/choose.ts'
import { ProviderCalls } from './provider-calls.ts'

export interface WorkerConfig {
  readonly name: string
  readonly brokers: string
  readonly prefix: string
  readonly providerUrl: string
  /** Where there is one, replies to the relayed topic go there too. */
  readonly redisUrl: string | undefined
  /** Payments at the provider at once. */
  readonly concurrency: number
  /** Milliseconds that a reply may wait for company. */
  readonly linger: number
  /**
   * Whether it comes back under its name when it dies. Then it is a static member of its group, and takes its
   * partitions up again at once. Else it leaves them to the others at once when it ends in order.
   */
  readonly returns: boolean
}

runChild(async (config: WorkerConfig) => {
  const { name, brokers, prefix, providerUrl, redisUrl, concurrency, linger, returns } = config
  const client = new JsonClient(providerUrl, concurrency)
  const calls = new ProviderCalls(client, name)
  const replier = createReplier({
    kafka: { brokers: brokers.split(','), clientId: `${prefix}${name}`, linger },
    groupId: workerGroup(prefix),
    ...(returns && { groupInstanceId: `${prefix}${name}` }),
    sessionTimeout: 6_000,
    // How soon the others hear of a worker that came or went, and with it how long its partitions wait.
    heartbeatInterval: 300,
    concurrency,
    createTopics: true,
  })
  if (redisUrl !== undefined)
    replier.useRecords(relayReplies({ url: redisUrl, replyTopics: [relayedTopic(prefix)] }))
  const operations = defineOperations(prefix, 'key')
  replier.handle(operations.approve, (request) => calls.charge(request))
  replier.handle(operations.refund, (request) => calls.refund(request))
  await explainBrokers(brokers, replier.start())
  return {
    facts: {},
    async close({ orphaned }) {
      if (!orphaned) await replier.close()
      client.close()
    },
  }
})
