/** Which broker coordinates a group. */
import { refusal } from './kafka-errors.ts'
import type { BrokerNode, Metadata } from './metadata.ts'
import { kafka } from '../protocol/error-codes.ts'
import { findCoordinatorApi } from '../protocol/find-coordinator.ts'

/** Kafka error codes of a broker that is not, or not yet, ready as the coordinator: it is looked for, and asked, again. */
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
  const connection = await metadata.anyConnection()
  const found = await connection.ask(findCoordinatorApi, { groupId }).catch((error: unknown) => {
    metadata.blame(connection.broker)
    throw error
  })
  if (found === undefined || found.errorCode !== kafka.none) {
    const code = found?.errorCode ?? kafka.coordinatorNotAvailable
    throw refusal(code, `find the coordinator of group ${groupId}`, {
      retryable: coordinatorUnready.has(code),
    })
  }
  return { id: found.id, host: found.host, port: found.port }
}
