/** Which broker coordinates a group. */
import type { BrokerAddress } from '../connection/connection.ts'
import { addressOf } from '../connection/connections.ts'
import { refusal } from './kafka-errors.ts'
import type { BrokerNode, Metadata } from './metadata.ts'
import type { PauseOptions } from '../waiting/pauses.ts'
import { untilMoved } from '../waiting/until-moved.ts'
import { kafka } from '../protocol/error-codes.ts'
import { findCoordinatorApi } from '../protocol/find-coordinator.ts'

/** Milliseconds without an answer after which others are asked who the coordinator is, and between two such looks. */
const LOOKS: PauseOptions = { first: 500, longest: 1_000 }

/** Kafka error codes of a broker that is not, or not yet, ready as the coordinator: it is looked for, and asked, again. */
export const coordinatorUnready: ReadonlySet<number> = new Set([
  kafka.coordinatorLoadInProgress,
  kafka.coordinatorNotAvailable,
  kafka.notCoordinator,
])

/**
 * Asks brokers, another one first each time, which broker coordinates a group now. Rejects as `Metadata.refresh` when nobody
 * answers, and with a refusal (`MILENA_NOT_AUTHORIZED`, `MILENA_BROKER_ERROR`) when there is none; `retryable` says
 * whether to ask again. Nothing is cached: a cached coordinator outlives its broker.
 */
export async function findCoordinator(metadata: Metadata, groupId: string): Promise<BrokerNode> {
  const found = await metadata.askAny(`a request for the coordinator of group ${groupId}`, (connection) =>
    connection.ask(findCoordinatorApi, { groupId }),
  )
  if (found === undefined || found.errorCode !== kafka.none) {
    const code = found?.errorCode ?? kafka.coordinatorNotAvailable
    throw refusal(code, `find the coordinator of group ${groupId}`, {
      retryable: coordinatorUnready.has(code),
    })
  }
  return { id: found.id, host: found.host, port: found.port }
}

/**
 * The outcome of a request to a group's coordinator. Rejects when another broker becomes the coordinator while it is
 * waited for: one that hangs would keep it as long as the request may take, which for JoinGroup is a rebalance. Two brokers
 * have to say so: a single one that lags behind would end each rebalance that takes longer than a look.
 */
export async function whileCoordinator<Answer>(
  metadata: Metadata,
  groupId: string,
  coordinator: BrokerAddress,
  asking: Promise<Answer>,
): Promise<Answer> {
  const address = addressOf(coordinator)
  // While nobody knows, or nobody answers, it may still be the same one.
  const ask = async (): Promise<string> => {
    const found = await findCoordinator(metadata, groupId).catch(() => undefined)
    return found === undefined ? address : addressOf(found)
  }
  return untilMoved(asking, LOOKS, async (over) => {
    const now = await ask()
    if (now === address || over.aborted || (await ask()) !== now) return undefined
    return `group ${groupId}: the coordinator was ${address}, now it is ${now}`
  })
}
