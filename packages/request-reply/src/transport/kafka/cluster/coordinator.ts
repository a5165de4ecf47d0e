/** Which broker coordinates a group (FindCoordinator, versions 3 to 6). */
import {
  findCoordinatorV3,
  findCoordinatorV4,
  findCoordinatorV5,
  findCoordinatorV6,
} from '@platformatic/kafka'
import { orAnswer, refusal } from './kafka-errors.ts'
import { kafka } from '../protocol/error-codes.ts'
import type { BrokerNode, Metadata } from './metadata.ts'
import type { ApiVersionTable } from './versions.ts'

const GROUP = 0

const findCoordinatorApi: ApiVersionTable<typeof findCoordinatorV4.api> = {
  name: 'FindCoordinator',
  key: 10,
  versions: {
    3: findCoordinatorV3.api,
    4: findCoordinatorV4.api,
    5: findCoordinatorV5.api,
    6: findCoordinatorV6.api,
  },
}

/** Kafka error codes after which the coordinator is to be looked for again. */
export const coordinatorUnready: ReadonlySet<number> = new Set([
  kafka.coordinatorLoadInProgress,
  kafka.coordinatorNotAvailable,
  kafka.notCoordinator,
])

/**
 * Asks one broker, another each time, which broker coordinates a group now. Rejects as `Metadata.refresh` when nobody
 * answers, and with a refusal (`MILENA_NOT_AUTHORIZED`, `MILENA_BROKER_ERROR`) when there is none; `retryable` says
 * whether to ask again. Nothing is cached: a cached coordinator outlives its broker.
 */
export async function findCoordinator(metadata: Metadata, groupId: string): Promise<BrokerNode> {
  const { link, broker } = await metadata.anyLink()
  const { api } = link.pick(findCoordinatorApi)
  const answer = await orAnswer(api.async(link.connection, GROUP, [groupId])).catch((error: unknown) => {
    metadata.blame(broker)
    throw error
  })
  const found = answer.coordinators[0]
  if (found === undefined || found.errorCode !== 0) {
    const code = found?.errorCode ?? kafka.coordinatorNotAvailable
    throw refusal(code, `find the coordinator of group ${groupId}`, {
      retryable: coordinatorUnready.has(code),
    })
  }
  return { id: found.nodeId, host: found.host, port: found.port }
}
