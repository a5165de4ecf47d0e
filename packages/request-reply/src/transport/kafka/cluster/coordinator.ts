/** Which broker coordinates a group. */
import { TransportError } from '../../../errors.ts'
import type { BrokerAddress, BrokerConnection } from '../connection/connection.ts'
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

interface Named extends BrokerNode {
  /** The broker that said so. */
  readonly by: BrokerAddress
}

/**
 * Asks brokers, another one first each time, which broker coordinates a group now. Rejects as `Metadata.refresh` when nobody
 * answers, and with a refusal (`MILENA_NOT_AUTHORIZED`, `MILENA_BROKER_ERROR`) when there is none; `retryable` says
 * whether to ask again. Nothing is cached: a cached coordinator outlives its broker.
 */
export async function findCoordinator(metadata: Metadata, groupId: string): Promise<BrokerNode> {
  const { id, host, port } = await nameCoordinator(metadata, groupId)
  return { id, host, port }
}

async function nameCoordinator(
  metadata: Metadata,
  groupId: string,
  among?: (broker: BrokerAddress) => boolean,
): Promise<Named> {
  const what = `a request for the coordinator of group ${groupId}`
  const ask = async (connection: BrokerConnection) => {
    const answer = await connection.ask(findCoordinatorApi, { groupId })
    return answer === undefined ? undefined : { ...answer, by: connection.broker }
  }
  const found = await metadata.askAny(what, ask, { among })
  if (found === undefined || found.errorCode !== kafka.none) {
    const code = found?.errorCode ?? kafka.coordinatorNotAvailable
    throw refusal(code, `find the coordinator of group ${groupId}`, {
      retryable: coordinatorUnready.has(code),
    })
  }
  return { id: found.id, host: found.host, port: found.port, by: found.by }
}

/**
 * The outcome of a request to a group's coordinator. Rejects when another broker becomes the coordinator while it is
 * waited for: one that hangs would keep it as long as the request may take, which for JoinGroup is a rebalance. Two brokers
 * have to say so, unless no other one answers: a single one that lags behind would end each rebalance that takes longer
 * than a look. Two are two where they say that they are; a bootstrap address may be another name of either.
 */
export async function whileCoordinator<Answer>(
  metadata: Metadata,
  groupId: string,
  coordinator: BrokerAddress,
  asking: Promise<Answer>,
): Promise<Answer> {
  const address = addressOf(coordinator)
  const isMoved = async (now: string): Promise<boolean> => {
    const isAdvertised = (broker: BrokerAddress): boolean => metadata.isAdvertised(broker)
    const first = await nameCoordinator(metadata, groupId, isAdvertised)
    if (addressOf(first) !== now) return false
    const isOther = (broker: BrokerAddress): boolean =>
      isAdvertised(broker) && addressOf(broker) !== addressOf(first.by)
    const second = await nameCoordinator(metadata, groupId, isOther).catch((error: unknown) => {
      if (error instanceof TransportError && error.code === 'MILENA_BROKER_UNREACHABLE') return first
      throw error
    })
    return addressOf(second) === now
  }
  return untilMoved(asking, LOOKS, async (over) => {
    try {
      const now = addressOf(await findCoordinator(metadata, groupId))
      if (now === address || over.aborted || !(await isMoved(now))) return undefined
      return `group ${groupId}: the coordinator was ${address}, now it is ${now}`
    } catch {
      // While nobody knows, or nobody answers, it may still be the same one.
      return undefined
    }
  })
}
