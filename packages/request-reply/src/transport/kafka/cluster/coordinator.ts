/** Which broker coordinates a group (FindCoordinator, versions 3 to 6). */
import {
  findCoordinatorV3,
  findCoordinatorV4,
  findCoordinatorV5,
  findCoordinatorV6,
} from '@platformatic/kafka'
import { Backoff, type BackoffOptions } from './backoff.ts'
import { addressOf, type BrokerAddress } from './connections.ts'
import { kafka, orAnswer, refusal } from './kafka-errors.ts'
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

/** Milliseconds without an answer after which others are asked who the coordinator is, and between two such looks. */
const LOOKS: BackoffOptions = { first: 500, longest: 1_000 }

/** Kafka error codes after which the coordinator is to be looked for again. */
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
  const answer = await metadata.askAny(`a request for the coordinator of group ${groupId}`, (link) => {
    const { api } = link.pick(findCoordinatorApi)
    return orAnswer(api.async(link.connection, GROUP, [groupId]))
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

/**
 * The outcome of a request to a group's coordinator. Rejects when another broker becomes the coordinator while it is
 * waited for: one that hangs would keep it as long as the request may take, which for JoinGroup is a rebalance.
 */
export async function whileCoordinator<Answer>(
  metadata: Metadata,
  groupId: string,
  coordinator: BrokerAddress,
  asking: Promise<Answer>,
): Promise<Answer> {
  const moved = Promise.withResolvers<never>()
  const over = new AbortController()
  const backoff = new Backoff(LOOKS)
  const address = addressOf(coordinator)
  const look = async (): Promise<void> => {
    for (;;) {
      await backoff.pause(over.signal)
      if (over.signal.aborted) return
      // While nobody knows, or nobody answers, it may still be the same one.
      const now = await findCoordinator(metadata, groupId).catch(() => undefined)
      if (now !== undefined && addressOf(now) !== address) {
        moved.reject(
          new Error(`group ${groupId}: the coordinator was ${address}, now it is ${addressOf(now)}`),
        )
        return
      }
    }
  }
  void look()
  try {
    return await Promise.race([asking, moved.promise])
  } finally {
    over.abort()
  }
}
